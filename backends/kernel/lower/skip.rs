//! Products whose left-hand side is mostly zero: with a single row, the rows of the weights that meet
//! a zero are not read.
//!
//! `MatMul(Where(Greater(Abs(x), t), x, 0), W)` says so by its structure. With more than one row each
//! has its own zeros; a few are done one by one where the weights are codes, many make an ordinary product. Both kernels
//! are written where the number of rows is known only at run time; one of them then has no tasks.
use super::contract::Right;
use super::{Call, Lowering};
use crate::program::{Memory, WeightData};
use crate::schedule::{self, Gemm};
use weft_ir::{DType, Dim, Graph, Value};

/// Whether the first operand keeps the elements of another tensor whose size passes a threshold, and
/// is zero elsewhere.
pub(super) fn mostly_zero(call: &Call<'_>) -> bool {
    let graph = call.graph;
    let masked = graph.operand(call.id, 0).filter(|a| graph.node(a.node).op == "Where");
    masked.is_some_and(|masked| passes_threshold(graph, masked).unwrap_or(false))
}

fn passes_threshold(graph: &Graph, masked: Value) -> Option<bool> {
    let operand = |i| graph.operand(masked.node, i);
    let (condition, kept, other) = (operand(0)?, operand(1)?, operand(2)?);
    let comparison = graph.node(condition.node).op.as_str();
    let sides = [graph.operand(condition.node, 0)?, graph.operand(condition.node, 1)?];
    let size = match comparison {
        "Greater" | "GreaterOrEqual" => sides[0],
        "Less" | "LessOrEqual" => sides[1],
        _ => return None,
    };
    Some(is_size(graph, size, kept) && graph.constant(other)?.as_scalar()? == 0.0)
}

/// Whether a value is the size of another one, weighted or not.
fn is_size(graph: &Graph, size: Value, of: Value) -> bool {
    let plain = |size: Value| graph.node(size.node).op == "Abs" && graph.operand(size.node, 0) == Some(of);
    let weighted = graph.node(size.node).op == "Mul";
    plain(size) || (weighted && graph.operands(size.node).into_iter().flatten().any(plain))
}

impl Lowering<'_> {
    /// Whether rows of these weights may be skipped: zero times them is zero, and there may be a
    /// single row of `A`.
    pub(super) fn may_skip(&self, right: &Right, dtype: DType, rows: &Dim) -> bool {
        let Memory::Weight(weight) = right.memory else { return false };
        let WeightData::Plain(data) = &self.program.weights[weight as usize].data else { return false };
        let fixed = right
            .depth
            .iter()
            .chain([&right.col])
            .all(|(d, s)| d.as_fixed().is_some() && s.as_fixed().is_some());
        let one = rows.as_fixed().is_none_or(|rows| rows == 1);
        one && fixed && right.batch.is_empty() && all_finite(data, dtype)
    }

    /// Launches the kernel for few rows and, unless there are never more, the one for many.
    pub(super) fn launch_skipping(&mut self, name: &str, what: &Gemm, out: Memory) {
        let rows = what.dims[what.batch..what.dims.len() - 1].iter().fold(Dim::fixed(1), |p, d| p.mul(d));
        let few = schedule::skipping_rows(what.codes.is_some());
        // One for more rows than a few, and for no more.
        let (zero, one) = (Dim::fixed(0), Dim::fixed(1));
        let more = rows.sub(&Dim::fixed(few)).larger(&zero).smaller(&one);
        let mut skipping = schedule::gemm_skipping(name, &self.machine, &self.terms, what);
        skipping.tasks = skipping.tasks.mul(&one.sub(&more));
        self.launch(skipping, out);
        if rows.as_fixed().is_some_and(|rows| rows <= few) {
            return;
        }
        let mut many = schedule::gemm(&format!("{name}_many"), &self.machine, &self.terms, what);
        many.tasks = many.tasks.mul(&more);
        self.launch(many, out);
    }
}

/// Whether there is no infinity and no NaN: zero times one is not zero.
fn all_finite(data: &[u8], dtype: DType) -> bool {
    let finite = |bytes: &[u8]| match *bytes {
        [a, b, c, d] => f32::from_le_bytes([a, b, c, d]).is_finite(),
        [a, b, c, d, e, f, g, h] => f64::from_le_bytes([a, b, c, d, e, f, g, h]).is_finite(),
        _ => false,
    };
    data.chunks_exact(dtype.bits() as usize / 8).all(finite)
}
