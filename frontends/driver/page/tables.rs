//! Numbers about a model, as tables.
use super::history::History;
use super::markup::escaped;
use super::svg::hue;
use super::{Open, section};
use crate::inspect::Summary;
use std::collections::{BTreeMap, BTreeSet};
use weft_ir::{Attr, Module, TensorType};
use weft_passes::{graph_at, graph_paths};

/// How many weights are listed, the largest first.
const WEIGHTS: usize = 200;

/// The numbers that matter most.
pub(super) fn cards(before: &Summary, after: &Summary, history: &History) -> String {
    let seconds: f64 = history.steps.iter().map(|step| step.took.as_secs_f64()).sum();
    let work =
        |summary: &Summary| summary.flops.map_or("?".to_string(), |n| format!("{:.2}", n as f64 / 1e9));
    let bytes = |summary: &Summary| size(summary.parameters.bytes);
    let at: Vec<_> = after.extents.iter().map(|(name, n)| format!("{name} = {n}")).collect();
    let at = if at.is_empty() { String::new() } else { format!(" at {}", at.join(", ")) };
    let cards = [
        (change(before.nodes.to_string(), after.nodes.to_string()), "nodes".to_string()),
        (change(bytes(before), bytes(after)), format!("weights in {} tensors", after.parameters.tensors)),
        (change(work(before), work(after)), format!("GFLOP{at}")),
        (format!("{:.0} ms", seconds * 1e3), format!("in {} passes", history.steps.len())),
    ];
    let card = |(value, what): &(String, String)| {
        format!("<div class=\"card\"><b>{}</b><span>{}</span></div>", escaped(value), escaped(what))
    };
    format!("<div class=\"cards\">{}</div>\n", cards.iter().map(card).collect::<String>())
}

fn change(before: String, after: String) -> String {
    if before == after { after } else { format!("{before} → {after}") }
}

/// What goes in and out, and what the file says.
pub(super) fn ports(summary: &Summary) -> String {
    let row = |what: &str, name: &str, value: &str| {
        format!(
            "<tr><td>{what}</td><td><code>{}</code></td><td><code>{}</code></td></tr>",
            escaped(name),
            escaped(value)
        )
    };
    let mut rows = String::new();
    summary.inputs.iter().for_each(|port| rows += &row("input", &port.name, &port.ty.to_string()));
    summary.outputs.iter().for_each(|port| rows += &row("output", &port.name, &port.ty.to_string()));
    summary.metadata.iter().for_each(|(key, value)| rows += &row("said", key, value));
    let remark = format!("{} in, {} out", summary.inputs.len(), summary.outputs.len());
    section("inputs and outputs", &remark, Open::Yes, &format!("<table>{rows}</table>"))
}

/// How often each operator is used, before and after.
pub(super) fn operators(before: &Summary, after: &Summary) -> String {
    let names: BTreeSet<&String> = before.operators.keys().chain(after.operators.keys()).collect();
    let count = |summary: &Summary, name: &String| summary.operators.get(name).copied().unwrap_or(0);
    let mut rows: Vec<_> =
        names.into_iter().map(|name| (name, count(before, name), count(after, name))).collect();
    rows.sort_by_key(|(name, before, after)| (std::cmp::Reverse((*after).max(*before)), *name));
    let most = rows.iter().map(|(_, before, after)| *before.max(after)).max().unwrap_or(1).max(1);
    let row = |(name, before, after): &(&String, usize, usize)| {
        let class = match after.cmp(before) {
            std::cmp::Ordering::Less => " less",
            std::cmp::Ordering::Equal => "",
            std::cmp::Ordering::Greater => " more",
        };
        format!(
            "<tr><td style=\"--hue:{}\"><i class=\"key\"></i>{}</td><td class=\"n\">{before}</td><td class=\"n{class}\">{after}</td>\
             <td style=\"width:60%\"><i class=\"bar\" style=\"width:{:.1}%\"></i></td></tr>",
            hue(name),
            escaped(name),
            100.0 * *after as f64 / most as f64
        )
    };
    let rows: String = rows.iter().map(row).collect();
    let body = format!(
        "<table><tr><th>operator</th><th class=\"n\">before</th><th class=\"n\">after</th><th></th></tr>{rows}</table>"
    );
    section("operators", &format!("{} nodes before, {} after", before.nodes, after.nodes), Open::Yes, &body)
}

/// The largest weights.
pub(super) fn weights(module: &Module) -> String {
    let mut sizes = BTreeMap::new();
    let paths = graph_paths(&module.graph);
    for graph in paths.iter().filter_map(|path| graph_at(&module.graph, path)) {
        for node in graph.nodes().map(|id| graph.node(id)) {
            let Some(Attr::Tensor(tensor)) = node.attrs.get("value") else { continue };
            let bytes = tensor.dtype().bytes(tensor.len()).unwrap_or(0);
            sizes.insert(node.label(), (bytes, TensorType::fixed(tensor.dtype(), tensor.dims()).to_string()));
        }
    }
    let whole: u64 = sizes.values().map(|(bytes, _)| bytes).sum();
    let mut rows: Vec<_> = sizes.into_iter().collect();
    rows.sort_by_key(|(name, (bytes, _))| (std::cmp::Reverse(*bytes), *name));
    let most = rows.first().map_or(1, |(_, (bytes, _))| *bytes).max(1);
    let row = |(name, (bytes, ty)): &(&str, (u64, String))| {
        format!(
            "<tr><td><code>{}</code></td><td><code>{}</code></td><td class=\"n\">{}</td>\
             <td style=\"width:35%\"><i class=\"bar\" style=\"width:{:.1}%\"></i></td></tr>",
            escaped(name),
            escaped(ty),
            size(*bytes),
            100.0 * *bytes as f64 / most as f64
        )
    };
    let shown: String = rows.iter().take(WEIGHTS).map(row).collect();
    let remark = match rows.len() {
        count if count > WEIGHTS => format!("the {WEIGHTS} largest of {count}, {} in all", size(whole)),
        count => format!("{count}, {} in all", size(whole)),
    };
    let body = format!(
        "<table><tr><th>name</th><th>type</th><th class=\"n\">size</th><th></th></tr>{shown}</table>"
    );
    section("weights", &remark, Open::No, &body)
}

fn size(bytes: u64) -> String {
    match bytes as f64 {
        b if b < 1e3 => format!("{bytes} B"),
        b if b < 1e6 => format!("{:.1} kB", b / 1e3),
        b if b < 1e9 => format!("{:.1} MB", b / 1e6),
        b => format!("{:.2} GB", b / 1e9),
    }
}
