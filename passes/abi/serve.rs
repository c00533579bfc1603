//! The plugin's side of a call: parse, run the pass, print.
use crate::lent::{Lent, Weights};
use crate::panics::guarded;
use crate::table::{Call, Status};
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::sync::{Mutex, PoisonError};
use weft_ir::text::{Style, parse_operators, print, weights};
use weft_ir::{Module, OpSet};
use weft_passes::{
    Budget, Manager, Options, Outcome, Pass, PassContext, PassInfo, Plan, RunError, VerifyEach,
};

/// Whether the settings of a call make sense.
///
/// # Safety
/// `data` is that of an entry made by [`crate::table`], `call` what the host lends.
pub(crate) unsafe extern "C" fn check(data: *const c_void, call: *const Call) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { answered(data, call, |info, lent| built(info, lent).map(|_| Status::Unchanged)) }
}

/// Runs a pass.
///
/// # Safety
/// As for [`check`].
pub(crate) unsafe extern "C" fn run(data: *const c_void, call: *const Call) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { answered(data, call, rewrite) }
}

/// # Safety
/// As for [`check`].
unsafe fn answered(
    data: *const c_void,
    call: *const Call,
    work: impl FnOnce(&PassInfo, Lent<'_>) -> Result<Status, String>,
) -> i32 {
    // SAFETY: the caller's promise; the information about a pass is never freed.
    let (info, lent) = unsafe { (data.cast::<PassInfo>().as_ref(), Lent::of(call)) };
    let (Some(info), Some(lent)) = (info, lent) else { return Status::Failed as i32 };
    let done = guarded(|| work(info, lent)).unwrap_or_else(Err);
    let status = done.unwrap_or_else(|message| {
        lent.fail(&message);
        Status::Failed
    });
    status as i32
}

fn built(info: &PassInfo, lent: Lent<'_>) -> Result<Box<dyn Pass>, String> {
    let options = Options::new(info.options, &lent.settings()).map_err(|error| error.to_string())?;
    (info.build)(&options).map_err(|error| error.to_string())
}

/// The operators of a module: those weft comes with and those of these definitions, which are read
/// once.
fn ops(definitions: &str) -> Result<&'static OpSet, String> {
    static KNOWN: Mutex<BTreeMap<String, &'static OpSet>> = Mutex::new(BTreeMap::new());
    if definitions.is_empty() {
        return Ok(OpSet::builtin());
    }
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(ops) = known.get(definitions) {
        return Ok(ops);
    }
    let defs = parse_operators(definitions).map_err(|error| format!("the operators: line {error}"))?;
    let ops = OpSet::new(OpSet::builtin().iter().copied().chain(defs));
    let ops: &'static OpSet = Box::leak(Box::new(ops));
    known.insert(definitions.to_string(), ops);
    Ok(ops)
}

fn rewrite(info: &PassInfo, lent: Lent<'_>) -> Result<Status, String> {
    let ops = ops(lent.operators()?)?;
    let source = Weights::new(lent);
    let module = Module::parse(lent.module()?, ops, &source);
    let mut module = module.map_err(|error| format!("the module does not parse here: {error}"))?;
    let plan = Plan::of(*info, built(info, lent)?);
    let mut manager = Manager {
        context: PassContext::of(ops),
        observer: &mut lent.clone(),
        budget: lent.rewrites_left().map_or_else(Budget::default, Budget::at_most),
        verify_each: VerifyEach::No,
    };
    let outcome = manager.run(&mut module, &plan).map_err(|error| match error {
        // The host says which pass it was.
        RunError::Pass { error, .. } => error.to_string(),
        other => other.to_string(),
    })?;
    if outcome == Outcome::Unchanged {
        return Ok(Status::Unchanged);
    }
    let mut new = weights(&module).into_iter().filter(|(_, tensor)| !source.knows(tensor));
    new.try_for_each(|(_, tensor)| lent.add_weight(&tensor))?;
    lent.answer(&print(&module, ops, Style::default()));
    Ok(Status::Changed)
}
