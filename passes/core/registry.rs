//! The passes, pipelines, operators and rules there are, by name, and the plugins they are from.
use crate::parse::is_name;
use crate::pass::PassInfo;
use crate::pipeline::{FIXPOINT, Pipeline, PipelineError};
use crate::plugin::{Added, Installed, Item, Kind, Plugin, Registrar};
use crate::rule::{ReadRules, RewriteRule, Rules};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use thiserror::Error;
use weft_ir::text::ParseError;
use weft_ir::{OpDef, OpSet};

/// A pipeline with a name, which can stand in other pipelines like a pass.
#[derive(Debug, Clone, Copy)]
pub struct PipelineInfo {
    /// `O2`.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// Its elements, each in the written form.
    pub steps: &'static [&'static str],
}

/// Why something cannot be registered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RegisterError {
    /// A name is taken.
    #[error("{}", clash(.kind, .name, .plugin, .owner))]
    Duplicate {
        /// What is to bear it.
        kind: Kind,
        /// The name.
        name: String,
        /// Who wants it.
        plugin: String,
        /// Who has it.
        owner: String,
    },
    /// The name is taken by a rule or a family of rules.
    #[error("two rules or families of rules are named `{0}`")]
    Rule(String),
    /// The name is taken by a function or a condition.
    #[error("two functions or conditions are named `{0}`")]
    Function(String),
    /// Rules mean nothing.
    #[error("rules:{0}")]
    RuleFile(String),
    /// A definition of operators means nothing.
    #[error("the definition of operators: line {0}")]
    Operators(ParseError),
    /// An operator is computed by a function that the plugin does not give.
    #[error("the operator `{op}` is computed by `{symbol}`, which the plugin does not give")]
    Symbol {
        /// The operator.
        op: String,
        /// The function.
        symbol: String,
    },
    /// There is a plugin of that name.
    #[error("two plugins are named `{name}`, {}; one of them has to go", versions(.first, .second))]
    Plugin {
        /// The name.
        name: String,
        /// The version of the one that is there.
        first: String,
        /// The version of the other.
        second: String,
    },
    /// A name that no pipeline can spell.
    #[error("plugin `{plugin}` adds `{name}`, expected a name of letters, digits, `-`, `_` and `.`")]
    Name {
        /// The name.
        name: String,
        /// Who wants it.
        plugin: String,
    },
    /// A pipeline does not parse, or names what is not registered before it.
    #[error("pipeline `{name}`: {error}")]
    Broken {
        /// The pipeline.
        name: String,
        /// What is wrong with it.
        error: PipelineError,
    },
}

/// All passes, pipelines, operators of plugins and rules by name.
#[derive(Debug, Clone)]
pub struct Registry {
    passes: BTreeMap<&'static str, PassInfo>,
    pipelines: BTreeMap<&'static str, PipelineInfo>,
    explanations: BTreeMap<&'static str, String>,
    operators: BTreeMap<&'static str, OpDef>,
    rules: Rules,
    read: ReadRules,
    plugins: Vec<Installed>,
}

fn versions(first: &str, second: &str) -> String {
    if first == second { "of one version".to_string() } else { format!("version {first} and {second}") }
}

fn clash(kind: &Kind, name: &str, plugin: &str, owner: &str) -> String {
    let what = match kind {
        Kind::Pass | Kind::Pipeline => "pass or pipeline",
        Kind::Rule => "rule or family of rules",
        Kind::Function => "function or condition",
        Kind::Operator => "operator",
    };
    match plugin == owner {
        true => format!("plugin `{plugin}` adds two things of the name `{name}`, the second as {what}"),
        false => format!("plugin `{plugin}` adds the {what} `{name}`, a name that `{owner}` has taken"),
    }
}

impl Registry {
    /// Nothing yet; rules of plugins that come as text will be read by `read`.
    pub fn new(read: ReadRules) -> Self {
        Self {
            passes: BTreeMap::new(),
            pipelines: BTreeMap::new(),
            explanations: BTreeMap::new(),
            operators: BTreeMap::new(),
            rules: Rules::default(),
            read,
            plugins: Vec::new(),
        }
    }

    /// Takes in everything a plugin has, or nothing of it.
    pub fn install(&mut self, plugin: &dyn Plugin) -> Result<(), RegisterError> {
        let info = plugin.info();
        if let Some(Installed { info: other, .. }) = self.plugins.iter().find(|p| p.info.name == info.name) {
            let [name, first, second] = [info.name, other.version, info.version].map(str::to_string);
            return Err(RegisterError::Plugin { name, first, second });
        }
        let mut grown = self.clone();
        let file = plugin.file().map(Path::to_path_buf);
        let mut installed = Installed { info, file, added: Vec::new() };
        for item in Registrar::items(plugin)? {
            grown.take(item, &mut installed)?;
        }
        grown.plugins.push(installed);
        *self = grown;
        Ok(())
    }

    fn take(&mut self, item: Item, plugin: &mut Installed) -> Result<(), RegisterError> {
        match item {
            Item::Pass(pass, explanation) => {
                self.claim(Added::new(Kind::Pass, pass.name), plugin)?;
                self.passes.insert(pass.name, pass);
                self.explanations.insert(pass.name, explanation);
            }
            Item::Pipeline(pipeline) => {
                self.claim(Added::new(Kind::Pipeline, pipeline.name), plugin)?;
                self.check(&pipeline)?;
                self.pipelines.insert(pipeline.name, pipeline);
            }
            Item::Operator(def) => {
                self.claim(Added::new(Kind::Operator, def.name), plugin)?;
                self.operators.insert(def.name, def);
            }
            Item::Function(function) => {
                self.claim(Added::new(Kind::Function, function.name), plugin)?;
                self.rules.add_function(function)?;
            }
            Item::Rule(rule) => self.take_rule(rule, plugin)?,
            Item::Rules(source) => {
                let found = (self.read)(&source, &self.ops(), &self.rules)?;
                found.into_iter().try_for_each(|rule| self.take_rule(rule, plugin))?;
            }
        }
        Ok(())
    }

    fn take_rule(&mut self, rule: Arc<dyn RewriteRule>, plugin: &mut Installed) -> Result<(), RegisterError> {
        self.claim(Added::new(Kind::Rule, rule.info().name.clone()), plugin)?;
        self.rules.add(rule)
    }

    /// Lets a plugin, which is being installed, have a name, if nobody has it.
    fn claim(&self, wanted: Added, plugin: &mut Installed) -> Result<(), RegisterError> {
        let (name, user) = (wanted.name.to_string(), plugin.info.name.to_string());
        if matches!(wanted.kind, Kind::Pass | Kind::Pipeline) && !is_name(&name) {
            return Err(RegisterError::Name { name, plugin: user });
        }
        let same = |added: &Added| added.name == wanted.name && added.kind.shares_names_with(wanted.kind);
        let taken = |plugin: &&Installed| plugin.added.iter().any(same);
        let owner = self.plugins.iter().chain([&*plugin]).find(taken).map(|p| p.info.name);
        let builtin = match wanted.kind {
            Kind::Operator => OpSet::builtin().get(&name).is_some(),
            kind => kind.shares_names_with(Kind::Pass) && name == FIXPOINT,
        };
        match owner.or(builtin.then_some("weft")) {
            Some(owner) => Err(RegisterError::Duplicate {
                kind: wanted.kind,
                name,
                plugin: user,
                owner: owner.to_string(),
            }),
            None => {
                plugin.added.push(wanted);
                Ok(())
            }
        }
    }

    /// All operators: those that weft comes with and those of plugins.
    pub fn ops(&self) -> OpSet {
        OpSet::new(OpSet::builtin().iter().chain(self.operators.values()).copied())
    }

    fn check(&self, pipeline: &PipelineInfo) -> Result<(), RegisterError> {
        let broken = |error| RegisterError::Broken { name: pipeline.name.to_string(), error };
        let steps: Pipeline = pipeline.steps.join(",").parse().map_err(broken)?;
        let errors = steps.resolve(self).err().and_then(|errors| errors.into_iter().next());
        errors.map_or(Ok(()), |error| Err(broken(error)))
    }

    /// The pass of that name.
    pub fn pass(&self, name: &str) -> Option<&PassInfo> {
        self.passes.get(name)
    }

    /// The pipeline of that name.
    pub fn pipeline(&self, name: &str) -> Option<&PipelineInfo> {
        self.pipelines.get(name)
    }

    /// The rules, and the functions and conditions they are written with.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// What its author says of a pass: what it does, before and after, what it leaves alone.
    pub fn explanation(&self, pass: &str) -> Option<&str> {
        self.explanations.get(pass).map(String::as_str)
    }

    /// All passes, by name.
    pub fn passes(&self) -> impl Iterator<Item = &PassInfo> {
        self.passes.values()
    }

    /// All pipelines, by name.
    pub fn pipelines(&self) -> impl Iterator<Item = &PipelineInfo> {
        self.pipelines.values()
    }

    /// The operators that plugins have defined, by name.
    pub fn operators(&self) -> impl Iterator<Item = &OpDef> {
        self.operators.values()
    }

    /// All plugins, in the order they came, with what each added.
    pub fn plugins(&self) -> &[Installed] {
        &self.plugins
    }
}
