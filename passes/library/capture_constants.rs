//! Brings constants into the regions that use them.
//!
//! Before: `%y = If(%c, %x, %w)` with a region `(%a, %b)` and `%w` a `Const`. After:
//! `%y = If(%c, %x)`, and within the region `%b = Const()`.
//!
//! Weights of a convolution within a branch must be constants there to be folded and packed. The
//! data is shared, not copied. Captures that nothing in any region uses go as well; what a loop
//! carries or scans stays, as it changes from round to round.
use std::collections::BTreeSet;
use std::sync::Arc;
use weft_ir::{Attr, Def, Graph, Node, NodeId, Stage, Tensor, TensorType, Value};
use weft_passes::{Declined, EachNode, PassInfo, PassKind, Rewriter};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "capture-constants",
    summary: "brings constants into the regions that use them",
    options: &[],
    kind: PassKind::Exact,
    accepts: (Stage::Canonical, Stage::Lowered),
    build: &|_| Ok(Box::new(EachNode(capture))),
};

fn capture(g: &mut Rewriter<'_>, id: NodeId) -> Result<(), Declined> {
    if g.node(id).regions.is_empty() {
        return Ok(());
    }
    let mut regions = g.node(id).regions.clone();
    let (mut operands, mut inputs) = (BTreeSet::new(), BTreeSet::new());
    for (value, operand, input) in g.captured(id) {
        if let Some(tensor) = g.data(value) {
            regions.iter_mut().for_each(|region| bring_in(region, input, tensor));
        } else if regions.iter().any(|region| is_used(region, input)) {
            continue;
        }
        operands.insert(operand);
        inputs.insert(input);
    }
    if operands.is_empty() {
        return if g.captured(id).is_empty() {
            Ok(())
        } else {
            Err("what it captures is no constant".into())
        };
    }
    let kept = g.operands(id).into_iter().enumerate().filter(|(at, _)| !operands.contains(at));
    let kept = kept.map(|(_, operand)| operand).collect();
    for region in &mut regions {
        region.retain_inputs(&|at| !inputs.contains(&at));
    }
    g.set_regions(id, regions);
    g.set_operands(id, kept);
    Ok(())
}

fn input_of(region: &Graph, input: usize) -> Option<Value> {
    region.inputs().get(input).map(|node| Value { node: *node, slot: 0 })
}

fn is_used(region: &Graph, input: usize) -> bool {
    input_of(region, input).is_some_and(|value| region.use_count(value) > 0)
}

/// Adds the constant under the name of the input and uses it in its place.
fn bring_in(region: &mut Graph, input: usize, tensor: &Arc<Tensor>) {
    let Some(value) = input_of(region, input).filter(|value| region.use_count(*value) > 0) else { return };
    let name = region.name_of(value).to_string();
    region.node_mut(value.node).results[0].name = region.fresh_name(&format!("{name}~"));
    let ty = TensorType::fixed(tensor.dtype(), tensor.dims());
    let constant = Node::new("Const", vec![Def { name, ty }]).with("value", Attr::Tensor(tensor.clone()));
    let constant = region.add(constant, &[]);
    region.redirect(value, Value { node: constant, slot: 0 });
}
