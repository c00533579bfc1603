//! Constants that are no matrices of linear layers: tables that rows are picked from, such as those of embeddings, and
//! stacks of matrices, such as those of experts.
use crate::forms::Half;
use weft_ir::infer::Facts;
use weft_ir::{Attr, DType, Dim, Graph, Module, Node, NodeId, OpSet, Tensor, TensorType, Value};
use weft_passes::{
    Declined, ErrorSum, Measure, PassContext, PassError, Proposal, Rewriter, Tapped, ValueError, append_node,
    node,
};

/// What reads such a constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// `Gather`, of a table.
    Picks,
    /// `MatMul`, by a stack.
    Multiplies,
}

/// A constant operand of a node.
pub(super) struct Operand {
    node: NodeId,
    reader: Reader,
    pub(super) numbers: Tensor,
}

impl Operand {
    /// The one of a node; nothing if it has none.
    pub(super) fn of(graph: &Graph, facts: &Facts, id: NodeId) -> Option<Self> {
        let (reader, least) = match graph.node(id).op.as_str() {
            "Gather" => (Reader::Picks, 2),
            "MatMul" => (Reader::Multiplies, 3),
            _ => return None,
        };
        let [own, other] = reader.places().map(|at| graph.operand(id, at));
        let constant = |value: Value| facts.get(&value)?.constant.as_deref();
        let numbers = constant(own?).filter(|tensor| tensor.dtype().is_float())?;
        let fits = numbers.dims().len() >= least && !numbers.is_empty() && constant(other?).is_none();
        fits.then(|| Self { node: id, reader, numbers: numbers.clone() })
    }

    pub(super) fn output(&self) -> Value {
        Value { node: self.node, slot: 0 }
    }

    /// The value that the constant is.
    pub(super) fn weight(&self, graph: &Graph) -> Option<Value> {
        graph.operand(self.node, self.reader.places()[0])
    }

    /// Widens what was picked, or the stack.
    fn put(&self, g: &mut Rewriter<'_>, to: Half) -> Result<(), Declined> {
        let narrow = to.narrowed(&self.numbers).ok_or("the weights do not read back")?;
        let narrow = g.constant(narrow)?;
        let cast = || node("Cast", [("to", Attr::Type(DType::F32))]);
        let mut operands = g.operands(self.node);
        match self.reader {
            Reader::Picks => {
                operands[0] = Some(narrow);
                let picked = g.add(without_results(g.node(self.node)), &operands)?;
                let wide = g.add(cast(), &[Some(picked)])?;
                g.replace(self.output(), wide);
            }
            Reader::Multiplies => {
                operands[1] = Some(g.add(cast(), &[Some(narrow)])?);
                g.set_operands(self.node, operands);
            }
        }
        Ok(())
    }

    /// The node alone, of the other operand and the constant's numbers.
    fn alone(&self, module: &Module, ops: &OpSet, other: Value) -> Result<Module, PassError> {
        let mut graph = Graph::new("main");
        let other = graph.add_input("other", of_any_extent(module.graph.ty(other)));
        let own = graph.add_input("own", TensorType::fixed(DType::F32, self.numbers.dims()));
        let operands = if self.reader == Reader::Picks { [own, other] } else { [other, own] };
        let made = append_node(&mut graph, ops, without_results(module.graph.node(self.node)), &operands)?;
        graph.set_outputs(vec![made]);
        graph.set_output_names(vec!["y".to_string()]);
        Ok(Module::new(module.stage, graph))
    }
}

impl Reader {
    /// The places of the constant and of the other operand.
    fn places(self) -> [usize; 2] {
        match self {
            Reader::Picks => [0, 1],
            Reader::Multiplies => [1, 0],
        }
    }
}

/// The type with symbols of its own for extents that are computed of others, which a node alone does not know.
fn of_any_extent(ty: &TensorType) -> TensorType {
    let known = |dim: &Dim| dim.as_fixed().is_some() || dim.as_symbol().is_some();
    let own = |(axis, dim): (usize, &Dim)| {
        if known(dim) { dim.clone() } else { Dim::symbol(&format!("own{axis}")) }
    };
    let dims = ty.dims.as_ref().map(|dims| dims.iter().enumerate().map(own).collect());
    TensorType { dims, ..ty.clone() }
}

/// A node like that one, which makes nothing yet.
fn without_results(like: &Node) -> Node {
    let mut node = Node::new(like.op.as_str(), Vec::new());
    node.attrs = like.attrs.clone();
    node
}

/// What would be done to such operands: how far off the output of each node is on the calibration data, or without data
/// the constant itself.
pub(super) fn of_operands<'p>(
    (cx, module): (&PassContext<'_>, &Module),
    operands: &[&'p Operand],
    to: Half,
) -> Result<Vec<Proposal<'p>>, PassError> {
    let mut sums = vec![ErrorSum::default(); operands.len()];
    let rounded = |numbers: &Tensor| {
        to.rounded(numbers).ok_or_else(|| PassError::Failed("weights do not read back".to_string()))
    };
    match cx.judge() {
        Some(measure) => of_outputs((measure, cx.ops), module, operands, &rounded, &mut sums)?,
        None => {
            for (operand, sum) in operands.iter().zip(&mut sums) {
                sum.add(&operand.numbers, &rounded(&operand.numbers)?);
            }
        }
    }
    Ok(operands.iter().zip(sums).map(|(operand, sum)| proposal(operand, to, sum.error())).collect())
}

fn proposal(operand: &Operand, to: Half, error: ValueError) -> Proposal<'_> {
    let apply = move |g: &mut Rewriter<'_>| operand.put(g, to);
    Proposal { at: operand.node, what: to.dtype().to_string(), error, apply: Box::new(apply) }
}

fn of_outputs(
    (measure, ops): (&dyn Measure, &OpSet),
    module: &Module,
    operands: &[&Operand],
    rounded: &dyn Fn(&Tensor) -> Result<Tensor, PassError>,
    sums: &mut [ErrorSum],
) -> Result<(), PassError> {
    let other = |operand: &Operand| module.graph.operand(operand.node, operand.reader.places()[1]);
    let taps = |operand: &&Operand| other(operand).into_iter().chain([operand.output()]).collect();
    let groups: Vec<Vec<Value>> = operands.iter().map(taps).collect();
    let mut weights: Vec<Option<Tensor>> = vec![None; operands.len()];
    measure.stream(module, &groups, &mut |Tapped { group, last, .. }, values| {
        let (operand, [other, exact]) = (operands[group], values) else { return Ok(()) };
        let own = match weights[group].take() {
            Some(own) => own,
            None => rounded(&operand.numbers)?,
        };
        let ready = measure.open(&operand.alone(module, ops, groups[group][0])?)?;
        let found = ready.run(&[other.clone(), own.clone()])?;
        found.iter().for_each(|found| sums[group].add(exact, found));
        weights[group] = (!last).then_some(own);
        Ok(())
    })
}
