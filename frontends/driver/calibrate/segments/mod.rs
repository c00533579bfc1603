//! A module as a row of smaller ones that are run one after the other.
//!
//! It is cut where few values cross: between the layers of a net, where nothing but the residual
//! stream does. Each piece is run on all inputs before the next is made ready, so that no more than
//! one piece's working memory is needed at a time. Weights go into a piece like its other inputs, and
//! values have no names of their own: layers of the same structure are the same module, which is
//! compiled once, and no weight is written into a library.
mod flow;
mod piece;

use flow::Flow;
use piece::piece;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use weft_ir::{DType, Module, OpSet, Tensor, Value};
use weft_passes::integers;

/// What goes into an input of a segment.
#[derive(Debug, Clone)]
pub(super) enum Feed {
    /// The input of that number of the whole module.
    Input(usize),
    /// What an earlier segment yielded for this value.
    Carried(Value),
    /// A constant of the module.
    Constant(Value, Arc<Tensor>),
}

/// A constant as compiled code takes it from outside: codes of a few bits in bytes of their own.
pub(super) fn fed(tensor: &Tensor) -> Option<Tensor> {
    let dtype = fed_as(tensor.dtype())?;
    if dtype == tensor.dtype() {
        return Some(tensor.clone());
    }
    integers(dtype, tensor.dims(), &tensor.to_i64s()?)
}

/// The type of such a constant; `None` if compiled code takes none of that type.
fn fed_as(dtype: DType) -> Option<DType> {
    match dtype {
        DType::U2 | DType::U4 => Some(DType::U8),
        DType::I2 | DType::I4 => Some(DType::I8),
        _ => (dtype.bits() >= 8).then_some(dtype),
    }
}

/// A part of a module.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) module: Module,
    /// What its inputs are.
    pub(super) feeds: Vec<Feed>,
    /// The values of the whole module that its outputs are.
    pub(super) yields: Vec<Value>,
    /// The groups of which it has the last values.
    pub(super) groups: Vec<usize>,
}

/// The segments that compute groups of values, in order. A value that is an input is of no segment.
/// `bytes` says how large a value is, if that is known. Constants that are `open` are always inputs.
pub(super) fn segments(
    (module, open): (&Module, &BTreeSet<Value>),
    ops: &OpSet,
    groups: &[Vec<Value>],
    bytes: &dyn Fn(Value) -> Option<u64>,
) -> Vec<Segment> {
    let flow = Flow::new(&module.graph, ops, groups, bytes);
    let mut found = Vec::new();
    for levels in flow.ranges() {
        let yields: Vec<Value> = yields(&flow, groups, &levels).into_iter().collect();
        let groups = (0..groups.len()).filter(|at| levels.contains(&flow.level_of(&groups[*at])));
        let groups = groups.collect();
        let (module, feeds) = piece((module, open), &flow, levels.start, &yields);
        found.push(Segment { module, feeds, yields, groups });
    }
    found
}

/// What is computed at some levels and looked at or carried on.
fn yields(flow: &Flow<'_>, groups: &[Vec<Value>], levels: &Range<usize>) -> BTreeSet<Value> {
    let taps = groups.iter().flatten().copied().filter(|value| !flow.graph.is_input(*value));
    let taps = taps.filter(|value| levels.contains(&flow.level(*value)));
    taps.chain(flow.crossing(levels.end - 1).filter(|value| levels.contains(&flow.level(*value)))).collect()
}

#[cfg(test)]
mod tests {
    use super::{Feed, segments};
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;
    use weft_interp::Interpreter;
    use weft_ir::text::{NoWeights, Style, print};
    use weft_ir::{Module, OpSet, Tensor, Value};

    /// Nets of two layers, each added to what goes in.
    const MODULE: &str = "weft 1 canonical
weight @a : f32[4, 8] = seeded(1)
weight @b : f32[8, 4] = seeded(2)
weight @c : f32[4, 8] = seeded(3)
weight @d : f32[8, 4] = seeded(4)
graph @main(%x: f32[N, 4]) -> (f32[N, 4], f32[N, 8]) {
    %a = Const() {value = @a} : f32[4, 8]
    %b = Const() {value = @b} : f32[8, 4]
    %c = Const() {value = @c} : f32[4, 8]
    %d = Const() {value = @d} : f32[8, 4]
    %p = MatMul(%x, %a) : f32[N, 8]
    %q = Relu(%p) : f32[N, 8]
    %r = MatMul(%q, %b) : f32[N, 4]
    %s = Add(%x, %r) : f32[N, 4]
    %t = MatMul(%s, %c) : f32[N, 8]
    %u = Relu(%t) : f32[N, 8]
    %v = MatMul(%u, %d) : f32[N, 4]
    %w = Add(%s, %v) : f32[N, 4]
    return %w, %q
}
";

    #[test]
    fn segments_give_what_the_whole_gives() {
        let ops = OpSet::builtin();
        let module = Module::parse(MODULE, ops, &NoWeights).unwrap();
        let outputs = module.graph.outputs();
        let groups = [vec![outputs[0]], vec![outputs[1]]];
        let found = segments((&module, &BTreeSet::new()), ops, &groups, &|value| {
            Some(if module.graph.ty(value).to_string().contains('8') { 8 } else { 4 })
        });
        assert_eq!(found.iter().map(|segment| segment.groups.clone()).collect::<Vec<_>>(), [[1], [0]]);
        let x = Arc::new(Tensor::from_slice(&[3, 4], &[1f32, -2.0, 3.0, 0.5].repeat(3)).unwrap());
        let mut known: BTreeMap<Value, Arc<Tensor>> = BTreeMap::new();
        for segment in &found {
            let fed = segment.feeds.iter().map(|feed| match feed {
                Feed::Input(_) => x.clone(),
                Feed::Carried(value) => known[value].clone(),
                Feed::Constant(_, tensor) => tensor.clone(),
            });
            let fed: Vec<Arc<Tensor>> = fed.collect();
            let values = Interpreter::default().run(&segment.module, &fed).unwrap();
            known.extend(segment.yields.iter().copied().zip(values.into_iter().map(Arc::new)));
        }
        let whole = Interpreter::default().run(&module, &[x]).unwrap();
        assert_eq!(whole[0].data(), known[&outputs[0]].data());
        assert_eq!(whole[1].data(), known[&outputs[1]].data());
    }

    #[test]
    fn extents_that_are_asked_for_come_with_an_input() {
        let text = "weft 1 canonical
graph @main(%x: f32[N, 4], %p: f32[P, 2]) -> (f32[N, 4]) {
    %e = weft.Extents() {value = [P]} : i64[1]
    %f = Cast(%e) {to = f32} : f32[1]
    %y = Mul(%x, %f) : f32[N, 4]
    return %y
}
";
        let ops = OpSet::builtin();
        let module = Module::parse(text, ops, &NoWeights).unwrap();
        let outputs = module.graph.outputs();
        let found = segments((&module, &BTreeSet::new()), ops, &[outputs.to_vec()], &|_| Some(4));
        let fed = |segment: &super::Segment| segment.feeds.iter().any(|feed| matches!(feed, Feed::Input(1)));
        assert!(found.iter().any(fed), "{found:?}");
    }

    #[test]
    fn many_weights_are_cut_where_more_crosses() {
        let ops = OpSet::builtin();
        let module = Module::parse(MODULE, ops, &NoWeights).unwrap();
        let outputs = module.graph.outputs();
        let count = |weight: u64| {
            let bytes = |value| match module.graph.constant(value) {
                Some(_) => Some(weight),
                None => Some(if module.graph.ty(value).to_string().contains('8') { 8 } else { 4 }),
            };
            segments((&module, &BTreeSet::new()), ops, &[vec![outputs[0]]], &bytes).len()
        };
        assert_eq!([8, 20 << 20, 40 << 20].map(count), [2, 2, 4]);
    }

    #[test]
    fn layers_of_the_same_structure_are_the_same_module() {
        let ops = OpSet::builtin();
        let module = Module::parse(MODULE, ops, &NoWeights).unwrap();
        let outputs = module.graph.outputs();
        let found = segments((&module, &BTreeSet::new()), ops, &[vec![outputs[0]]], &|value| {
            Some(if module.graph.ty(value).to_string().contains('8') { 8 } else { 4 })
        });
        let texts: Vec<String> =
            found.iter().map(|segment| print(&segment.module, ops, Style::default())).collect();
        assert_eq!(texts.len(), 2);
        assert_eq!(texts[0], texts[1]);
    }
}
