//! How a model fails under a pipeline, and whether a smaller one fails in the same way.
use crate::compare::Tolerance;
use crate::driver::{Driver, PassOptions};
use crate::error::Error;
use crate::progress::Quiet;
use crate::testing::seeded_inputs;
use crate::weights::write_module;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use weft_interp::Interpreter;
use weft_ir::{Module, OpSet, verify};
use weft_passes::{Plan, RunError, VerifyEach, graph_at, graph_paths};

/// How far floats may be apart before a result is wrong.
const TOLERANCE: Tolerance = Tolerance { rtol: 1e-3, atol: 1e-3 };

/// What counts as a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// An error, or else other results.
    Any,
    /// A pass gives up, or leaves a graph that breaks the rules.
    Error,
    /// The module computes something else afterwards.
    Equal,
    /// The program, given a file with the module, ends with exit code 0. The pipeline does not matter.
    Command(PathBuf),
}

/// How a module fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A pass gives up.
    GivesUp {
        /// The pass.
        pass: String,
        /// What it says.
        message: String,
    },
    /// A pass leaves a graph that breaks the rules.
    Breaks {
        /// The pass.
        pass: String,
        /// Which rules.
        message: String,
    },
    /// An output is another.
    Differs(String),
    /// The program said so.
    Command,
}

impl Fault {
    fn of(error: &RunError) -> Self {
        let (pass, message) = (error.pass().to_string(), error.to_string());
        match error {
            RunError::Verify { .. } => Fault::Breaks { pass, message },
            _ => Fault::GivesUp { pass, message },
        }
    }

    /// Whether the same pass fails in the same way; what it says of it may differ.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Fault::GivesUp { pass: a, .. }, Fault::GivesUp { pass: b, .. })
            | (Fault::Breaks { pass: a, .. }, Fault::Breaks { pass: b, .. }) => a == b,
            _ => false,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::GivesUp { message, .. } | Fault::Breaks { message, .. } => f.write_str(message),
            Fault::Differs(how) => write!(f, "the results differ: {how}"),
            Fault::Command => f.write_str("the command ends with exit code 0"),
        }
    }
}

/// Runs modules and says whether they fail as the first one did.
pub(super) struct Judge<'a> {
    driver: &'a Driver,
    plan: Plan,
    check: Check,
    /// How modules must fail, once one did.
    expected: Option<Fault>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(driver: &'a Driver, pipeline: &str, check: Check) -> Result<Self, Error> {
        Ok(Self { driver, plan: driver.plan(pipeline)?, check, expected: None })
    }

    pub(super) fn ops(&self) -> &'static OpSet {
        self.driver.ops()
    }

    /// From now on, only failures like this one count.
    pub(super) fn expect(&mut self, fault: &Fault) {
        self.check = match fault {
            Fault::GivesUp { .. } | Fault::Breaks { .. } => Check::Error,
            Fault::Differs(_) => Check::Equal,
            Fault::Command => return,
        };
        self.expected = Some(fault.clone());
    }

    /// How a module fails; nothing if it does not, or if it is no valid module to begin with.
    pub(super) fn fault(&self, module: &Module) -> Result<Option<Fault>, Error> {
        if verify::verify(module, self.driver.ops()).is_err() {
            return Ok(None);
        }
        if let Check::Command(program) = &self.check {
            return self.command(program, module);
        }
        let mut after = module.clone();
        let options = PassOptions { verify_each: VerifyEach::Yes, ..PassOptions::default() };
        match self.driver.optimise(&mut after, &self.plan, options, &mut Quiet) {
            Ok(_) if self.check == Check::Error => Ok(None),
            Ok(_) => Ok(differs(module, &after).map(Fault::Differs)),
            Err(_) if self.check == Check::Equal => Ok(None),
            Err(Error::Passes(failed)) => {
                let fault = Fault::of(&failed.error);
                Ok(self.expected.as_ref().is_none_or(|expected| fault.is_like(expected)).then_some(fault))
            }
            Err(error) => Err(error),
        }
    }

    fn command(&self, program: &PathBuf, module: &Module) -> Result<Option<Fault>, Error> {
        let failed = |error| Error::Write { file: std::env::temp_dir(), error };
        let folder = tempfile::Builder::new().prefix("weft-reduce-").tempdir().map_err(failed)?;
        let file = folder.path().join("module.weft");
        write_module(module, self.driver.ops(), &file)?;
        let mut command = Command::new(program);
        command.arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = command.status().map_err(|error| Error::Process { file: program.clone(), error })?;
        Ok(status.success().then_some(Fault::Command))
    }
}

/// How the results of two modules differ on made-up inputs, if both can be interpreted.
fn differs(before: &Module, after: &Module) -> Option<String> {
    if !is_known(before) || !is_known(after) {
        return None;
    }
    let inputs = seeded_inputs(before, &BTreeMap::new()).ok()?;
    let expected = Interpreter::default().run(before, &inputs).ok()?;
    let found = match Interpreter::default().run(after, &inputs) {
        Ok(found) => found,
        Err(error) => return Some(error.to_string()),
    };
    let names = before.graph.output_names();
    let mut pairs = names.iter().zip(expected.iter().zip(&found));
    pairs.find_map(|(name, (expected, found))| {
        let difference = TOLERANCE.compare(expected, found).err()?;
        Some(format!("output `{name}`: {difference}"))
    })
}

fn is_known(module: &Module) -> bool {
    let paths = graph_paths(&module.graph);
    let graphs = paths.iter().filter_map(|path| graph_at(&module.graph, path));
    graphs.flat_map(|g| g.nodes().map(|id| g.node(id))).all(|node| Interpreter::knows(node.op.as_str()))
}
