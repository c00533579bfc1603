//! Plugins: what brings passes, pipelines, operators and rules in, and the record of who brought what.
use crate::pass::PassInfo;
use crate::registry::{PipelineInfo, RegisterError};
use crate::rule::{Function, RewriteRule, RuleSource};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use weft_ir::{FindFunction, OpDef};

/// Brings passes, pipelines, operators and rules in under names of its own. What weft comes with is a plugin, too.
///
/// A plugin adds names and never changes what a pipeline does that was there before it.
pub trait Plugin: Send + Sync {
    /// Who it is.
    fn info(&self) -> PluginInfo;
    /// Adds everything it has.
    fn register(&self, registrar: &mut Registrar) -> Result<(), RegisterError>;
    /// The library it was opened from; none if it was linked in.
    fn file(&self) -> Option<&Path> {
        None
    }
}

/// Who a plugin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PluginInfo {
    /// Its name; no two plugins share one.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// One sentence.
    pub summary: &'static str,
}

/// A plugin that is there, and what it added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// Who it is.
    pub info: PluginInfo,
    /// The library it was opened from; none if it was linked in.
    pub file: Option<PathBuf>,
    /// The names it added, in its order.
    pub added: Vec<Added>,
}

/// One thing that a plugin added.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Added {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: Cow<'static, str>,
}

impl Added {
    pub(crate) fn new(kind: Kind, name: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, name: name.into() }
    }
}

/// What a plugin can add.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A pass.
    Pass,
    /// A pipeline.
    Pipeline,
    /// An operator.
    Operator,
    /// A rule.
    Rule,
    /// A function or a condition that rules are written with.
    Function,
}

impl Kind {
    /// What one is called.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Pass => "pass",
            Kind::Pipeline => "pipeline",
            Kind::Operator => "operator",
            Kind::Rule => "rule",
            Kind::Function => "function",
        }
    }

    /// Whether something of this kind must not be named like something of the other: passes and
    /// pipelines stand in one text, all else for itself.
    pub(crate) fn shares_names_with(self, other: Kind) -> bool {
        let place = |kind| if kind == Kind::Pipeline { Kind::Pass } else { kind };
        place(self) == place(other)
    }
}

/// One thing that a plugin adds, as it hands it over.
#[derive(Clone)]
pub enum Item {
    /// A pass, and what its author says of it.
    Pass(PassInfo, String),
    /// A pipeline.
    Pipeline(PipelineInfo),
    /// An operator that graphs of others or functions define.
    Operator(OpDef),
    /// A rule.
    Rule(Arc<dyn RewriteRule>),
    /// Rules as text.
    Rules(RuleSource),
    /// A function or a condition that rules are written with.
    Function(Function),
}

/// Collects what one plugin adds.
#[derive(Clone, Default)]
pub struct Registrar {
    items: Vec<Item>,
}

impl Registrar {
    /// Everything that a plugin adds, in its order.
    pub fn items(plugin: &dyn Plugin) -> Result<Vec<Item>, RegisterError> {
        let mut registrar = Self::default();
        plugin.register(&mut registrar)?;
        Ok(registrar.items)
    }

    /// Adds a pass. It is explained by the `//!` lines at the top of its `source`, or by a text
    /// that has none.
    pub fn pass(&mut self, pass: PassInfo, source: &str) {
        self.add(Item::Pass(pass, explanation(source)));
    }

    /// Adds all passes of a list; see [`crate::passes`].
    pub fn passes(&mut self, passes: &[(PassInfo, &str)]) {
        passes.iter().for_each(|(pass, source)| self.pass(*pass, source));
    }

    /// Adds a pipeline. What it is made of must be there already, so none contains itself.
    pub fn pipeline(&mut self, pipeline: PipelineInfo) {
        self.add(Item::Pipeline(pipeline));
    }

    /// Adds operators by their definitions; see [`weft_ir::text::parse_operators`].
    pub fn operators(&mut self, text: &str) -> Result<(), RegisterError> {
        let defs = weft_ir::text::parse_operators(text).map_err(RegisterError::Operators)?;
        defs.into_iter().for_each(|def| self.add(Item::Operator(def)));
        Ok(())
    }

    /// Adds operators that functions outside weft compute: `find` gives the functions, for the
    /// interpreter, and in `folder` lies the code that compiled models are linked with.
    pub fn foreign_operators(
        &mut self,
        text: &str,
        folder: &Path,
        find: FindFunction<'_>,
    ) -> Result<(), RegisterError> {
        for def in weft_ir::text::parse_operators(text).map_err(RegisterError::Operators)? {
            let missing = |symbol| RegisterError::Symbol { op: def.name.to_string(), symbol };
            self.add(Item::Operator(def.placed(folder, find).map_err(missing)?));
        }
        Ok(())
    }

    /// Adds a rule.
    pub fn rule(&mut self, rule: Arc<dyn RewriteRule>) {
        self.add(Item::Rule(rule));
    }

    /// Adds the rules of a text. They may use what the plugin added before.
    pub fn rules(&mut self, file: RuleSource) {
        self.add(Item::Rules(file));
    }

    /// Adds a function or a condition that rules can be written with.
    pub fn function(&mut self, function: Function) {
        self.add(Item::Function(function));
    }

    /// Adds what was collected elsewhere.
    pub fn add(&mut self, item: Item) {
        self.items.push(item);
    }
}

/// Lists passes, one module and file each: `PASSES` holds for each what the module calls `INFO`,
/// and the text of the file.
///
/// ```text
/// mod fold_this;
/// mod unroll_that;
///
/// weft_passes::passes! { fold_this unroll_that }
/// ```
#[macro_export]
macro_rules! passes {
    ($($file:ident)*) => {
        /// Every pass, and the file it is in.
        pub const PASSES: &[($crate::PassInfo, &str)] =
            &[$(($file::INFO, include_str!(concat!(stringify!($file), ".rs"))),)*];
    };
}

/// The `//!` lines at the top of a source file, or the whole of a text without any.
fn explanation(source: &str) -> String {
    let head = source.lines().map_while(|line| line.strip_prefix("//!"));
    let lines: String = head.map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line))).collect();
    match lines.is_empty() {
        true => format!("{}\n", source.trim()),
        false => lines,
    }
}
