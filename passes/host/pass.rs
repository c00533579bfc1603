//! A pass that lives in a library.
use crate::exchange::{Exchange, Said};
use std::ffi::c_void;
use weft_abi::{Run, Status};
use weft_ir::text::{Style, print};
use weft_ir::{Module, OpSet};
use weft_passes::{Declined, Editor, OptionError, Options, Outcome, Pass, PassContext, PassError};

/// A pass that lives in a library: the module goes there as text and comes back the same way.
#[derive(Debug, Clone)]
pub(crate) struct LoadedPass {
    run: Run,
    check: Option<Run>,
    data: *const c_void,
    settings: Vec<(String, String)>,
}

// SAFETY: the functions of a pass may be called from any thread, and `data` is for them alone.
unsafe impl Send for LoadedPass {}
// SAFETY: as above.
unsafe impl Sync for LoadedPass {}

impl LoadedPass {
    pub(crate) fn new(run: Run, check: Option<Run>, data: *const c_void) -> Self {
        Self { run, check, data, settings: Vec::new() }
    }

    /// The pass with these options, if it takes them.
    pub(crate) fn built(mut self, options: &Options) -> Result<Box<dyn Pass>, OptionError> {
        self.settings = options.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let Some(check) = self.check else { return Ok(Box::new(self)) };
        let (status, said) = Exchange::default().call(check, self.data, ("", ""), &self.settings, None);
        match Status::of(status) {
            Some(Status::Unchanged) => Ok(Box::new(self)),
            Some(Status::Failed) => Err(OptionError::Refused(said.why())),
            _ => Err(OptionError::Refused(format!("`check` gives {status}, expected 0 or 2"))),
        }
    }
}

impl Pass for LoadedPass {
    fn run(&self, edit: &mut Editor<'_>, cx: &PassContext<'_>) -> Result<Outcome, PassError> {
        if !edit.may_rewrite() {
            return Ok(Outcome::Unchanged);
        }
        let before = print(edit, cx.ops, Style::default());
        let exchange = Exchange::of(edit);
        let operators: String = cx.ops.iter().filter_map(|def| Some(def.body?.text.as_str())).collect();
        let (lent, left) = ((&*before, &*operators), edit.rewrites_left());
        let (status, said) = exchange.call(self.run, self.data, lent, &self.settings, left);
        said.declined.iter().for_each(|(at, why)| edit.decline(at, &Declined::from(why.clone())));
        match Status::of(status) {
            Some(Status::Unchanged) => Ok(Outcome::Unchanged),
            Some(Status::Failed) => Err(PassError::Failed(said.why())),
            Some(Status::Changed) => adopt(edit, cx.ops, &before, &said),
            None => Err(PassError::Failed(format!("it gives status {status}, expected 0, 1 or 2"))),
        }
    }
}

/// Takes over what a library gave back, if it is a module like the one it was given.
fn adopt(edit: &mut Editor<'_>, ops: &OpSet, before: &str, said: &Said) -> Result<Outcome, PassError> {
    let failed = |message: String| PassError::Failed(message);
    let answer = said.answer.as_ref();
    let answer = answer.ok_or_else(|| failed("it says it changed the module and gave none".to_string()))?;
    let text = std::str::from_utf8(answer)
        .map_err(|error| failed(format!("the module it gave back is not UTF-8: {error}")))?;
    let module = Module::parse(text, ops, &said.weights)
        .map_err(|error| failed(format!("the module it gave back does not parse: line {error}")))?;
    if print(&module, ops, Style::default()) == before {
        return Ok(Outcome::Unchanged);
    }
    edit.adopt(module, &said.rewrites).map_err(|error| match error {
        PassError::Failed(message) => failed(format!("the module it gave back is refused: {message}")),
        other => other,
    })
}
