//! Removes nodes that no output needs.
//!
//! Before: `%a = Exp(%x)`, `%y = Relu(%x)`, `return %y`. After: `%y = Relu(%x)`, `return %y`.
//!
//! Inputs and outputs stay whatever they do. No operator does anything but make its results, random
//! ones included, so what nobody uses may go.
use weft_ir::Stage;
use weft_passes::{Editor, Outcome, Pass, PassContext, PassError, PassInfo, PassKind};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "dead-code",
    summary: "removes nodes that no output needs",
    options: &[],
    kind: PassKind::Exact,
    accepts: (Stage::Imported, Stage::Lowered),
    build: &|_| Ok(Box::new(DeadCode)),
};

struct DeadCode;

impl Pass for DeadCode {
    fn run(&self, edit: &mut Editor<'_>, _: &PassContext<'_>) -> Result<Outcome, PassError> {
        Ok(edit.sweep())
    }
}
