//! From flags to a driver, and to how a model is compiled.
use crate::args::{Calibrating, Command, Compiling, DimArgs, Extensions, Precision};
use crate::failure::Failure;
use crate::talk::Teller;
use etcetera::{BaseStrategy, choose_base_strategy};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use weft::{Calibration, CompileOptions, Dims, Driver, PassOptions, Ports, family_of, files, ledger_json};
use weft_backend::OptLevel;
use weft_ir::Module;
use weft_passes::{LedgerEntry, VerifyEach};

/// The pass that finds out by what a model may be off within a bound.
const CHOOSE: &str = "choose";

impl Compiling {
    /// What the driver is asked to do with a model.
    pub(crate) fn options_for(
        &self,
        (driver, module): (&Driver, &Module),
        teller: &Teller,
    ) -> Result<CompileOptions, Failure> {
        let mut options = self.options(driver)?;
        self.calibrating.lend(module, teller, &mut options.passes)?;
        Ok(options)
    }

    /// What the driver is asked to do, but for the calibration data.
    pub(crate) fn options(&self, driver: &Driver) -> Result<CompileOptions, Failure> {
        let level = [OptLevel::O0, OptLevel::O1, OptLevel::O2, OptLevel::O3][usize::from(self.level.min(3))];
        let verify_each = if self.verify_each { VerifyEach::Yes } else { VerifyEach::No };
        let named = self.passes_as_text(None);
        // A bound alone says how far off the model may be, and leaves it to weft by what.
        let pipeline = match self.calibrating.max_error.is_some() && !driver.plan(&named)?.is_lossy() {
            true => self.passes_as_text(Some(CHOOSE)),
            false => named,
        };
        let passes = PassOptions { verify_each, ..PassOptions::default() };
        Ok(CompileOptions { pipeline, passes, cpu: self.cpu.clone(), level })
    }

    /// Single passes run on a graph that is canonical and clean, before layouts are chosen; what rounds weights sees
    /// what the others made of them.
    fn passes_as_text(&self, more: Option<&str>) -> String {
        let rules = self.extensions.rewrite();
        let passes = rules.iter().chain(&self.passes).map(String::as_str).chain(more);
        let passes = passes.chain(self.precision.pass());
        let passes = passes.collect::<Vec<_>>().join(",");
        match (&self.pipeline, passes.is_empty()) {
            (Some(pipeline), true) => pipeline.clone(),
            (Some(pipeline), false) => format!("{pipeline},{passes}"),
            (None, true) => format!("O{}", self.level),
            (None, false) => format!("O{},{passes},O{}", self.level.min(1), self.level),
        }
    }
}

impl Precision {
    /// The pass that rounds weights to it.
    fn pass(self) -> Option<&'static str> {
        match self {
            Precision::F32 => None,
            Precision::Bf16 => Some("round-weights{to=bf16}"),
            Precision::F16 => Some("round-weights{to=f16}"),
        }
    }
}

impl Calibrating {
    /// Opens the calibration data for a model.
    pub(crate) fn lend(
        &self,
        module: &Module,
        teller: &Teller,
        options: &mut PassOptions,
    ) -> Result<(), Failure> {
        let Some(data) = &self.calibrate else { return Ok(()) };
        let (ports, folder) = (Ports::of_graph(&module.graph), self.folder());
        let open = |path: &Path| {
            let data = Calibration::open(path, &ports)?.telling(teller.listener());
            Ok::<_, Failure>(match &folder {
                Some(folder) => data.keeping(folder.clone()),
                None => data,
            })
        };
        let fitted = Arc::new(open(data)?);
        if let Some(more) = &self.validate {
            options.validation = Some(Arc::new(open(more)?.judging(fitted.clone())));
        }
        (options.calibration, options.bound) = (Some(fitted), self.max_error);
        Ok(())
    }

    /// Where what is found out is kept, if it is.
    fn folder(&self) -> Option<PathBuf> {
        match &self.cache {
            Some(folder) => (folder.as_os_str() != "none").then(|| folder.clone()),
            None => Some(choose_base_strategy().ok()?.cache_dir().join("weft")),
        }
    }

    /// Writes the ledger where it was asked for.
    pub(crate) fn write(&self, ledger: &[LedgerEntry], teller: &Teller) -> Result<(), Failure> {
        let Some(path) = &self.ledger else { return Ok(()) };
        files::write(path, format!("{:#}\n", ledger_json(ledger)).as_bytes())?;
        teller.say(&format!("written: {}", path.display()));
        Ok(())
    }
}

impl Command {
    /// What the command is to have besides what weft comes with, if it takes any.
    pub(crate) fn extensions(&self) -> Option<&Extensions> {
        match self {
            Command::Compile(args) => Some(&args.compiling.extensions),
            Command::Run(args) => Some(&args.compiling.extensions),
            Command::Test(args) => Some(&args.compiling.extensions),
            Command::Bench(args) => Some(&args.compiling.extensions),
            Command::Opt(args) => Some(&args.extensions),
            Command::Reduce(args) => Some(&args.extensions),
            Command::Inspect(args) => Some(&args.extensions),
            _ => None,
        }
    }
}

impl Extensions {
    /// The flags that bring them, each with a space before it, as a shell takes them.
    pub(crate) fn flags(&self) -> String {
        let plugins = self.plugins.iter().map(|file| ("--plugin", file));
        let rules = self.rules.iter().map(|file| ("--rules", file));
        let flag =
            |(flag, file): (&str, &PathBuf)| format!(" {flag} {}", quoted(&file.display().to_string()));
        plugins.chain(rules).map(flag).collect()
    }

    /// A driver that has them.
    pub(crate) fn driver(&self) -> Result<Driver, Failure> {
        let mut driver = Driver::new()?;
        self.plugins.iter().try_for_each(|file| driver.load(file))?;
        // Rules may use the operators and functions of plugins.
        self.rules.iter().try_for_each(|file| driver.add_rules(file))?;
        Ok(driver)
    }

    /// The pass that runs the rules of the files; none without files.
    pub(crate) fn rewrite(&self) -> Option<String> {
        let families: Vec<String> = self.rules.iter().map(|file| family_of(file)).collect();
        (!families.is_empty()).then(|| format!("rewrite{{rules=\"{}\"}}", families.join("|")))
    }
}

impl DimArgs {
    /// The numbers of symbolic extents; none may be given twice.
    pub(crate) fn dims(&self) -> Result<Dims, Failure> {
        let mut dims = Dims::new();
        for (name, value) in &self.dims {
            if dims.insert(name.clone(), *value).is_some_and(|before| before != *value) {
                return Err(Failure::Misuse(format!("`--dim {name}` is given twice")));
            }
        }
        Ok(dims)
    }
}

/// A word as a shell takes it.
pub(crate) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}
