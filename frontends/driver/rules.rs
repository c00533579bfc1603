//! Rule files that a user gives, and whether rules are true.
use crate::error::Error;
use crate::model::name_of;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use weft_frontend::Source;
use weft_interp::Interpreter;
use weft_ir::OpSet;
use weft_passes::rule::{RewriteRule, Rules};
use weft_passes::{Plugin, PluginInfo, RegisterError, Registrar};
use weft_rewrite::check::{Effort, Verdict};

/// The name of the family of rules that a file holds: that of the file, without its extension.
pub fn family_of(file: &Path) -> String {
    name_of(file)
}

/// A file with rules, as a plugin.
pub(crate) struct RuleFile {
    file: PathBuf,
    name: &'static str,
    rules: Vec<Arc<dyn RewriteRule>>,
}

impl RuleFile {
    /// Reads the rules of a file.
    pub(crate) fn read(file: &Path, ops: &OpSet, known: &Rules) -> Result<Self, Error> {
        let source = Source::open(file)?;
        let not_text =
            || Error::Format { file: file.to_path_buf(), reason: "it is not UTF-8 text".to_string() };
        let text = std::str::from_utf8(source.bytes()).map_err(|_| not_text())?;
        let name = file.display().to_string();
        let rules = weft_rules::load((&name, &family_of(file)), text, ops, known)
            .map_err(|errors| Error::Rules { file: file.to_path_buf(), errors })?;
        let rules = rules.into_iter().map(|rule| -> Arc<dyn RewriteRule> { Arc::new(rule) }).collect();
        // Who brought what is known until the process ends.
        Ok(Self { file: file.to_path_buf(), name: name.leak(), rules })
    }
}

impl Plugin for RuleFile {
    fn info(&self) -> PluginInfo {
        PluginInfo { name: self.name, version: "", summary: "a file with rules" }
    }

    fn register(&self, registrar: &mut Registrar) -> Result<(), RegisterError> {
        self.rules.iter().for_each(|rule| registrar.rule(rule.clone()));
        Ok(())
    }

    fn file(&self) -> Option<&Path> {
        Some(&self.file)
    }
}

/// Computes both sides of a rule on random graphs that it fits, by the interpreter.
pub fn check_rule(rule: &Arc<dyn RewriteRule>, ops: &OpSet, effort: Effort) -> Verdict {
    weft_rewrite::check::check(rule, ops, effort, &|module, inputs| {
        Interpreter::default().run(module, inputs).map_err(|error| error.to_string())
    })
}
