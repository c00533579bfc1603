//! A graph in Graphviz' language.
use weft_ir::{Graph, Module};

/// The main graph; those of control flow are named in the nodes they hang on. Constants are left out.
pub fn dot(module: &Module) -> String {
    let graph = &module.graph;
    let mut out = String::from("digraph model {\n  node [shape=box, fontname=\"Helvetica\", fontsize=10];\n");
    let mut put = |line: String| out.push_str(&format!("  {line}\n"));
    for id in graph.inputs() {
        let node = graph.node(*id);
        let label = node.results.first().map_or_else(String::new, |def| format!("{}\n{}", def.name, def.ty));
        put(format!("{} [label={}, shape=ellipse];", quoted(node.label()), quoted(&label)));
    }
    for id in graph.order().into_iter().filter(|id| graph.node(*id).op != "Const") {
        let node = graph.node(id);
        let types = node.results.iter().map(|def| def.ty.to_string()).collect::<Vec<_>>().join("\n");
        let regions: String =
            node.regions.iter().map(|r| format!("\n@{}: {} nodes", r.name, r.len())).collect();
        put(format!(
            "{} [label={}];",
            quoted(node.label()),
            quoted(&format!("{}\n{types}{regions}", node.op))
        ));
        for operand in graph.operands(id).into_iter().flatten().filter(|v| graph.constant(*v).is_none()) {
            put(format!("{} -> {};", quoted(graph.node(operand.node).label()), quoted(node.label())));
        }
    }
    outputs(graph, &mut put);
    out.push_str("}\n");
    out
}

fn outputs(graph: &Graph, put: &mut dyn FnMut(String)) {
    for (value, name) in graph.outputs().iter().zip(graph.output_names()) {
        let own = quoted(&format!("output {name}"));
        put(format!("{own} [label={}, shape=ellipse];", quoted(name)));
        put(format!("{} -> {own};", quoted(graph.node(value.node).label())));
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
