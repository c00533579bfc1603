//! A graph as a picture.
use super::layout::{HEIGHT, layout};
use super::markup::{clipped, escaped};
use std::collections::BTreeMap;
use weft_ir::text::print_node;
use weft_ir::{Graph, NodeId, OpSet, Value};

/// How the picture looks on its own; a page around it may say otherwise.
const STYLE: &str = include_str!("picture.css");
/// How many characters of a name are shown.
const NAME: usize = 30;

/// A box of the picture.
struct Shape {
    class: &'static str,
    title: String,
    name: String,
    hover: String,
}

/// A graph, without its constants, as SVG.
pub fn svg(graph: &Graph) -> String {
    let (shapes, arrows) = shapes(graph);
    let widths: Vec<f64> = shapes.iter().map(Shape::width).collect();
    let layout = layout(&widths, &arrows);
    let (width, height) = layout.size;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"graph\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         width=\"{width:.0}\" height=\"{height:.0}\"><style>{STYLE}</style>\n"
    );
    for points in &layout.arrows {
        out += &format!("<path class=\"arrow\" d=\"{}\"/>\n", curve(points));
    }
    for ((shape, width), (x, y)) in shapes.iter().zip(&widths).zip(&layout.boxes) {
        out += &shape.drawn(*width, (*x, *y));
    }
    out + "</svg>\n"
}

/// Everything that is drawn: inputs, nodes, outputs, and what leads where.
fn shapes(graph: &Graph) -> (Vec<Shape>, Vec<(usize, usize)>) {
    let (mut shapes, mut arrows, mut at) = (Vec::new(), Vec::new(), BTreeMap::new());
    for id in graph.inputs() {
        let value = Value { node: *id, slot: 0 };
        at.insert(*id, shapes.len());
        shapes.push(Shape::port("input", graph, value, graph.name_of(value)));
    }
    for id in graph.order().into_iter().filter(|id| graph.node(*id).op != "Const") {
        let sources = graph.operands(id).into_iter().flatten().filter_map(|value| at.get(&value.node));
        arrows.extend(sources.map(|source| (*source, shapes.len())));
        at.insert(id, shapes.len());
        shapes.push(Shape::node(graph, id));
    }
    for (value, name) in graph.outputs().iter().zip(graph.output_names()) {
        arrows.extend(at.get(&value.node).map(|source| (*source, shapes.len())));
        shapes.push(Shape::port("output", graph, *value, name));
    }
    arrows.sort_unstable();
    arrows.dedup();
    (shapes, arrows)
}

impl Shape {
    fn port(class: &'static str, graph: &Graph, value: Value, name: &str) -> Self {
        let ty = graph.ty(value).to_string();
        Self { class, title: name.to_string(), name: ty.clone(), hover: format!("{class} {name} : {ty}") }
    }

    fn node(graph: &Graph, id: NodeId) -> Self {
        let node = graph.node(id);
        let text = print_node(graph, id, OpSet::builtin());
        let hover = text.lines().next().unwrap_or_default().to_string();
        Self { class: "node", title: node.op.to_string(), name: node.label().to_string(), hover }
    }

    fn width(&self) -> f64 {
        let (title, name) = (self.title.chars().count().min(NAME), self.name.chars().count().min(NAME));
        (title as f64 * 7.4).max(name as f64 * 5.7) + 22.0
    }

    fn drawn(&self, width: f64, (x, y): (f64, f64)) -> String {
        let Shape { class, title, name, hover } = self;
        let (left, round) = (x - width / 2.0, if *class == "node" { 6.0 } else { HEIGHT / 2.0 });
        let searched = if *class == "node" { name } else { title };
        format!(
            "<g class=\"{class}\" data-name=\"{}\" data-op=\"{}\" style=\"--hue:{}\"><title>{}</title>\
             <rect x=\"{left:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{HEIGHT}\" rx=\"{round}\"/>\
             <text class=\"op\" x=\"{x:.1}\" y=\"{:.1}\">{}</text><text class=\"name\" x=\"{x:.1}\" y=\"{:.1}\">{}</text></g>\n",
            escaped(searched),
            escaped(title),
            hue(title),
            escaped(hover),
            y + 17.0,
            escaped(&clipped(title, NAME)),
            y + 31.0,
            escaped(&clipped(name, NAME)),
        )
    }
}

/// The colour of an operator: the same in every picture.
pub(super) fn hue(op: &str) -> u32 {
    op.bytes().fold(2_166_136_261u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619)) % 360
}

/// A line through points that leaves and enters boxes upright.
fn curve(points: &[(f64, f64)]) -> String {
    let mut path = String::new();
    for (i, (x, y)) in points.iter().enumerate() {
        match i.checked_sub(1).map(|before| points[before]) {
            None => path += &format!("M{x:.1} {y:.1}"),
            Some((from, _)) if from == *x => path += &format!("L{x:.1} {y:.1}"),
            Some((from, top)) => {
                let middle = (top + y) / 2.0;
                path += &format!("C{from:.1} {middle:.1} {x:.1} {middle:.1} {x:.1} {y:.1}");
            }
        }
    }
    path
}
