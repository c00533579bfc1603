//! The graphs of a module, as pictures and as lists of nodes.
use super::markup::escaped;
use super::svg::{hue, svg};
use super::{Open, section};
use weft_ir::text::print_node;
use weft_ir::{Graph, Module, OpSet};
use weft_passes::{graph_at, graph_paths};

/// Graphs with more nodes are drawn, but their section is closed at first.
const LARGE: usize = 1500;

/// The main graph and those of control flow, with what each is called.
fn graphs(module: &Module) -> Vec<(String, &Graph)> {
    let paths = graph_paths(&module.graph);
    let named = paths.iter().filter_map(|path| {
        let around = &path[..path.len().saturating_sub(1)].to_vec();
        let of = path.last().and_then(|(id, _)| Some(graph_at(&module.graph, around)?.node(*id).label()));
        let graph = graph_at(&module.graph, path)?;
        let name = of.map_or_else(|| "graph".to_string(), |of| format!("@{} of %{of}", graph.name));
        Some((name, graph))
    });
    named.collect()
}

/// Every graph as a picture.
pub(super) fn pictures(when: &str, module: &Module) -> String {
    let tools = ["in", "out", "one", "fit"].map(|how| {
        let label = match how {
            "in" => "+",
            "out" => "−",
            "one" => "100 %",
            _ => "fit width",
        };
        format!("<button type=\"button\" data-zoom=\"{how}\">{label}</button>")
    });
    let tools = tools.concat();
    let picture = |(i, (name, graph)): (usize, (String, &Graph))| {
        let count = graph.nodes().filter(|id| graph.node(*id).op != "Const").count();
        let open = if i == 0 && when == "after" && count <= LARGE { Open::Yes } else { Open::No };
        let body = format!(
            "<div class=\"picture\"><div class=\"tools\">{tools}</div><div class=\"sight\">{}</div></div>",
            svg(graph)
        );
        section(&format!("{name}, {when}"), &format!("{count} nodes"), open, &body)
    };
    graphs(module).into_iter().enumerate().map(picture).collect()
}

/// Every node as a line of text.
pub(super) fn nodes(when: &str, module: &Module) -> String {
    let mut rows = String::new();
    let mut count = 0;
    for (_, graph) in graphs(module) {
        for id in graph.order().into_iter().filter(|id| graph.node(*id).op != "Const") {
            count += 1;
            let (node, text) = (graph.node(id), print_node(graph, id, OpSet::builtin()));
            let line = text.lines().next().unwrap_or_default();
            let (name, op) = (escaped(node.label()), escaped(node.op.as_str()));
            rows += &format!(
                "<tr data-name=\"{name}\" data-op=\"{op}\"><td style=\"--hue:{}\"><i class=\"key\"></i>{op}</td>\
                 <td><code>{}</code></td></tr>\n",
                hue(node.op.as_str()),
                escaped(line)
            );
        }
    }
    let body = format!("<table><tr><th>operator</th><th>as text</th></tr>{rows}</table>");
    section(&format!("nodes, {when}"), &format!("{count}"), Open::No, &body)
}
