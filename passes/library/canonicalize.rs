//! Ends the stage `imported`.
//!
//! Before: `weft 1 imported`, every rank known and every extent named. After: `weft 1 canonical`.
//!
//! It changes no node: importers already give one operator per meaning, and `propagate-shapes`
//! names the extents. A module in which a rank or an extent is still unknown is refused, with
//! every value at fault.
use weft_ir::infer::Problem;
use weft_ir::{Graph, Stage};
use weft_passes::{Editor, Outcome, Pass, PassContext, PassError, PassInfo, PassKind, graph_at, graph_paths};

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
