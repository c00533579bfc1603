//! Rule files that a user gives, and whether rules are true.
use crate::error::Error;
use crate::model::name_of;
use std::path::Path;
use std::sync::Arc;
use weft_frontend::Source;
use weft_interp::Interpreter;
use weft_ir::OpSet;
use weft_passes::Registry;
use weft_passes::rule::RewriteRule;
use weft_rewrite::check::{Effort, Verdict};

/// The name of the family of rules that a file holds: that of the file, without its extension.
pub fn family_of(file: &Path) -> String {
    name_of(file)
}

/// Takes in the rules of a file.
pub(crate) fn add(registry: &mut Registry, ops: &OpSet, file: &Path) -> Result<(), Error> {
    let source = Source::open(file)?;
    let not_text = || Error::Format { file: file.to_path_buf(), reason: "it is not UTF-8 text".to_string() };
    let text = std::str::from_utf8(source.bytes()).map_err(|_| not_text())?;
    let names = (&*file.display().to_string(), &*family_of(file));
    let rules = weft_rules::load(names, text, ops, registry.rules())
        .map_err(|errors| Error::Rules { file: file.to_path_buf(), errors })?;
    rules.into_iter().try_for_each(|rule| registry.rules_mut().add(Arc::new(rule)))?;
    Ok(())
}

/// Computes both sides of a rule on random graphs that it fits, by the interpreter.
pub fn check_rule(rule: &Arc<dyn RewriteRule>, ops: &OpSet, effort: Effort) -> Verdict {
    weft_rewrite::check::check(rule, ops, effort, &|module, inputs| {
        Interpreter::default().run(module, inputs).map_err(|error| error.to_string())
    })
}
