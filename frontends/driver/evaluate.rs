//! The interpreter, lent to passes.
use std::sync::Arc;
use weft_interp::Interpreter;
use weft_ir::{Node, OpSet, Tensor};
use weft_passes::Evaluate;

/// Computes single nodes by the interpreter.
#[derive(Debug, Clone, Copy)]
pub struct Interpreted(Interpreter);

impl Interpreted {
    /// Computes nodes of these operators.
    pub fn new(ops: &'static OpSet) -> Self {
        Self(Interpreter::with_ops(ops))
    }
}

impl Evaluate for Interpreted {
    fn evaluate(&self, node: &Node, operands: &[Option<Arc<Tensor>>]) -> Result<Vec<Tensor>, String> {
        self.0.eval_node(node, operands).map_err(|error| error.to_string())
    }
}
