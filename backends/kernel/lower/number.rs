//! Numbers that the host learns from tensors: extents that follow from data.
use super::{Handle, Lowering, View};
use crate::program::Step;
use crate::term::TermId;
use weft_ir::{DType, Dim};

impl Lowering<'_> {
    /// A fresh symbol, set by a step that is still to come.
    pub(crate) fn fresh_symbol(&mut self, stem: &str) -> (u32, Dim) {
        let name = format!("?{stem}#{}", self.program.symbols.len());
        (self.symbol(&name), Dim::symbol(&name))
    }

    /// The first element of an integer tensor, read by the host.
    pub(crate) fn measured(&mut self, handle: Handle) -> Dim {
        let wide = self.indices(handle);
        let View { memory, offset, .. } = self.force(wide);
        let (memory, index) = match offset.as_fixed() {
            Some(index) => (memory, index),
            None => {
                let copy = self.allocate(DType::I64, &[Dim::fixed(1)], "number");
                let dims = vec![Dim::fixed(1)];
                let one = self.reshaped(wide, &dims);
                self.copy(one, &copy);
                (copy.memory, 0)
            }
        };
        let (symbol, dim) = self.fresh_symbol("number");
        self.step(Step::Read { symbol, from: memory, dtype: DType::I64, index });
        dim
    }

    /// The value of an integer term that is the same everywhere, read by the host.
    pub(crate) fn measured_term(&mut self, term: TermId) -> Dim {
        let number = self.lazy(vec![Dim::fixed(1)], term);
        self.measured(number)
    }
}
