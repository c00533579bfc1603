//! Ends the stage `imported`.
//!
//! Before: `weft 1 imported`, every rank known and every extent named. After: `weft 1 canonical`.
//!
//! Operators that plugins define by a graph of others are replaced by that graph. No other node is
//! changed: importers already give one operator per meaning, and `propagate-shapes` names the
//! extents. A module in which a rank or an extent is still unknown is refused, with
//! every value at fault.
use weft_ir::infer::Problem;
use weft_ir::{Fact, Graph, NodeId, Stage, Value};
use weft_passes::{
    Declined, Editor, Outcome, Pass, PassContext, PassError, PassInfo, PassKind, Rewriter, graph_at,
    graph_paths,
};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "canonicalize",
    summary: "ends the stage `imported`: every rank is known and every extent named",
    options: &[],
    kind: PassKind::Required,
    accepts: (Stage::Imported, Stage::Lowered),
    build: &|_| Ok(Box::new(Canonicalize)),
};

struct Canonicalize;

impl Pass for Canonicalize {
    fn run(&self, edit: &mut Editor<'_>, _: &PassContext<'_>) -> Result<Outcome, PassError> {
        edit.each_node(decompose)?;
        let paths = graph_paths(&edit.graph);
        let graphs = paths.iter().filter_map(|path| graph_at(&edit.graph, path));
        let unknown: Vec<Problem> = graphs.flat_map(unknown_types).collect();
        if !unknown.is_empty() {
            return Err(PassError::Invalid(unknown));
        }
        edit.advance(Stage::Canonical);
        Ok(edit.outcome())
    }
}

/// Puts the graph that a node stands for in its place.
fn decompose(g: &mut Rewriter<'_>, id: NodeId) -> Result<(), Declined> {
    let graph = g.ops().get(g.node(id).op.as_str()).filter(|def| def.is_graph());
    let Some((def, body)) = graph.and_then(|def| Some((def, def.body?))) else { return Ok(()) };
    let operands = g.operands(id);
    let mut facts: Vec<Option<Fact>> = operands.iter().map(|v| v.and_then(|v| g.fact(v).cloned())).collect();
    facts.resize(facts.len().max(def.operands.len()), None);
    let instance = body.instance(def, g.node(id), &facts).map_err(|error| Declined::from(error.0))?;
    let inputs: Vec<_> = instance.operands.iter().map(|at| operands.get(*at).copied().flatten()).collect();
    let results = g.inline(&instance.graph, &inputs)?;
    results.into_iter().zip(0..).for_each(|(new, slot)| g.replace(Value { node: id, slot }, new));
    Ok(())
}

fn unknown_types(graph: &Graph) -> Vec<Problem> {
    let nodes = graph.inputs().iter().copied().chain(graph.nodes()).map(|id| graph.node(id));
    let results = nodes.flat_map(|node| node.results.iter().map(move |result| (node, result)));
    let open = results.filter(|(_, result)| {
        result.ty.dims.as_ref().is_none_or(|dims| dims.iter().any(|dim| dim.is_unknown()))
    });
    let problem = |(node, result): (&weft_ir::Node, &weft_ir::Def)| Problem {
        graph: graph.name.clone(),
        op: node.op.to_string(),
        at: result.name.clone(),
        message: format!("stage canonical needs every extent, found {}", result.ty),
    };
    open.map(problem).collect()
}
