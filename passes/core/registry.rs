//! The passes and pipelines there are, by name, and the plugins they are from.
use crate::parse::is_name;
use crate::pass::PassInfo;
use crate::pipeline::{FIXPOINT, Pipeline, PipelineError};
use crate::plugin::{Added, Installed, Item, Kind, Plugin, Registrar};
use std::collections::BTreeMap;
use std::path::Path;
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
    /// The name of a pass or pipeline is taken.
    #[error(
        "plugin `{plugin}` adds `{name}`, a name that `{owner}` has taken; every pass and pipeline has a name of its own"
    )]
    Duplicate {
        /// The name.
        name: String,
        /// Who wants it.
        plugin: String,
        /// Who has it.
        owner: String,
    },
    /// The name of an operator is taken.
    #[error("plugin `{plugin}` defines the operator `{name}`, which `{owner}` has defined")]
    Operator {
        /// The name.
        name: String,
        /// Who wants it.
        plugin: String,
        /// Who has it.
        owner: String,
    },
    /// A definition of operators means nothing.
    #[error("the definition of operators: line {0}")]
    Operators(ParseError),
    /// There is a plugin of that name.
    #[error("two plugins are named `{0}`, version {1} and version {2}; one of them has to go")]
    Plugin(String, String, String),
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

/// All passes and pipelines by name.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    passes: BTreeMap<&'static str, PassInfo>,
    pipelines: BTreeMap<&'static str, PipelineInfo>,
    explanations: BTreeMap<&'static str, String>,
    operators: BTreeMap<&'static str, OpDef>,
    plugins: Vec<Installed>,
}

impl Registry {
    /// Takes in everything a plugin has, or nothing of it.
    pub fn install(&mut self, plugin: &dyn Plugin) -> Result<(), RegisterError> {
        let info = plugin.info();
        if let Some(Installed { info: other, .. }) = self.plugins.iter().find(|p| p.info.name == info.name) {
            let [name, a, b] = [info.name, other.version, info.version].map(str::to_string);
            return Err(RegisterError::Plugin(name, a, b));
        }
        let mut grown = self.clone();
        let file = plugin.file().map(Path::to_path_buf);
        let mut installed = Installed { info, file, added: Vec::new() };
        for item in Registrar::items(plugin)? {
            let added = item.added();
            match added.kind {
                Kind::Operator => grown.admits_operator(&installed, added)?,
                Kind::Pass | Kind::Pipeline => grown.admits(&installed, added)?,
            }
            grown.take(item)?;
            installed.added.push(added);
        }
        grown.plugins.push(installed);
        *self = grown;
        Ok(())
    }

    /// Who has the name that `plugin`, which is being installed, wants.
    fn owner(&self, plugin: &Installed, wanted: Added) -> Option<&'static str> {
        let same = |added: &Added| added.name == wanted.name && added.kind.shares_names_with(wanted.kind);
        let mut all = self.plugins.iter().chain([plugin]);
        all.find(|p| p.added.iter().any(same)).map(|p| p.info.name)
    }

    fn admits_operator(&self, plugin: &Installed, wanted: Added) -> Result<(), RegisterError> {
        let builtin = OpSet::builtin().get(wanted.name).map(|_| "weft");
        let Some(owner) = builtin.or_else(|| self.owner(plugin, wanted)) else { return Ok(()) };
        let [name, plugin, owner] = [wanted.name, plugin.info.name, owner].map(str::to_string);
        Err(RegisterError::Operator { name, plugin, owner })
    }

    fn admits(&self, plugin: &Installed, wanted: Added) -> Result<(), RegisterError> {
        let (name, user) = (wanted.name.to_string(), plugin.info.name.to_string());
        if !is_name(&name) {
            return Err(RegisterError::Name { name, plugin: user });
        }
        let reserved = (name == FIXPOINT).then_some("the grammar of pipelines");
        match self.owner(plugin, wanted).or(reserved).map(str::to_string) {
            Some(owner) => Err(RegisterError::Duplicate { name, plugin: user, owner }),
            None => Ok(()),
        }
    }

    fn take(&mut self, item: Item) -> Result<(), RegisterError> {
        match item {
            Item::Pass(pass, explanation) => {
                self.passes.insert(pass.name, pass);
                self.explanations.insert(pass.name, explanation);
            }
            Item::Pipeline(pipeline) => {
                self.check(&pipeline)?;
                self.pipelines.insert(pipeline.name, pipeline);
            }
            Item::Operator(def) => drop(self.operators.insert(def.name, def)),
        }
        Ok(())
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
