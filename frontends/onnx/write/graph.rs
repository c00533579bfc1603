//! One graph as messages, its subgraphs inside.
use super::{Shared, opset, parts};
use crate::proto::attribute_proto::AttributeType;
use crate::proto::{AttributeProto, GraphProto, NodeProto, TensorProto, ValueInfoProto};
use std::collections::BTreeMap;
use weft_frontend::{Cause, Place};
use weft_ir::{Attr, Attrs, Dim, Graph, Node, NodeId, OpDef, Value};

/// Where an extent can be read: a value and an axis of it.
pub(super) type Symbols = BTreeMap<String, (String, usize)>;

/// Attributes that weft has and ONNX has not, or has by another name.
const NOT_WRITTEN: &[(&str, &str)] = &[("Loop", "carried"), ("Scan", "scanned"), ("Scan", "states")];

/// Attributes of subgraphs.
const REGIONS: &[(&str, &[&str])] =
    &[("If", &["then_branch", "else_branch"]), ("Loop", &["body"]), ("Scan", &["body"])];

/// Operands, results and attributes of a node.
type Message = (Vec<String>, Vec<String>, Vec<AttributeProto>);

/// A graph being written.
pub(super) struct GraphWriter<'s, 'a> {
    pub(super) shared: &'s mut Shared<'a>,
    pub(super) symbols: Symbols,
    pub(super) nodes: Vec<NodeProto>,
    pub(super) weights: Vec<TensorProto>,
    /// What extents that were read from a shape are called: the value, the first axis, how many.
    pub(super) extents_read: BTreeMap<(String, usize, usize), String>,
    pub(super) graph: &'a Graph,
    /// What each value is called.
    names: BTreeMap<Value, String>,
    inputs: Vec<ValueInfoProto>,
}

impl<'s, 'a> GraphWriter<'s, 'a> {
    fn new(graph: &'a Graph, shared: &'s mut Shared<'a>, symbols: Symbols) -> Self {
        let (nodes, weights, inputs) = (Vec::new(), Vec::new(), Vec::new());
        let (extents_read, names) = (BTreeMap::new(), BTreeMap::new());
        Self { shared, symbols, nodes, weights, extents_read, graph, names, inputs }
    }

    /// The main graph, whose inputs and outputs keep their names.
    pub(super) fn main(graph: &'a Graph, shared: &'s mut Shared<'a>) -> Self {
        let mut writer = Self::new(graph, shared, Symbols::new());
        for id in graph.inputs() {
            writer.add_input(Value { node: *id, slot: 0 });
        }
        writer
    }

    /// A region, whose last inputs are what `captured` is called outside.
    fn region(graph: &'a Graph, shared: &'s mut Shared<'a>, symbols: Symbols, captured: &[String]) -> Self {
        let mut writer = Self::new(graph, shared, symbols);
        let own = graph.inputs().len().saturating_sub(captured.len());
        for (i, id) in graph.inputs().iter().enumerate() {
            let value = Value { node: *id, slot: 0 };
            match i.checked_sub(own) {
                None => writer.add_input(value),
                Some(i) => writer.call(value, captured[i].clone()),
            }
        }
        writer
    }

    fn add_input(&mut self, value: Value) {
        let name = self.shared.names.unique(self.graph.name_of(value));
        self.inputs.push(parts::value_info(&name, self.graph.ty(value)));
        self.call(value, name);
    }

    /// Gives a value its name; extents that are symbols can be read from it.
    fn call(&mut self, value: Value, name: String) {
        for (axis, dim) in self.graph.ty(value).dims.iter().flatten().enumerate() {
            if let Some(symbol) = dim.as_symbol() {
                self.symbols.entry(symbol.to_string()).or_insert_with(|| (name.clone(), axis));
            }
        }
        self.names.insert(value, name);
    }

    /// The whole graph.
    pub(super) fn finish(mut self, name: String) -> GraphProto {
        let outputs: Vec<String> = self.outputs();
        let ends = self.ends(&outputs);
        for id in self.graph.order() {
            if let Err(cause) = self.node(id, &ends) {
                let node = self.graph.node(id);
                let place = Place::Node { op: node.op.to_string(), name: node.label().to_string() };
                self.shared.problems.push(cause.at(place));
                let names = node.results.iter().map(|r| r.name.clone()).collect::<Vec<_>>();
                names
                    .into_iter()
                    .enumerate()
                    .for_each(|(slot, name)| self.call(Value { node: id, slot: slot as u32 }, name));
            }
        }
        let mut infos = Vec::with_capacity(outputs.len());
        for (value, output) in self.graph.outputs().iter().zip(outputs) {
            let inner = self.names[value].clone();
            if inner != output {
                self.step("Identity", &[&inner], Vec::new(), &output);
            }
            infos.push(parts::value_info(&output, self.graph.ty(*value)));
        }
        GraphProto {
            name: Some(name),
            node: self.nodes,
            initializer: self.weights,
            input: self.inputs,
            output: infos,
            ..Default::default()
        }
    }

    /// What the outputs are called: as they are known, but for a region's whose name is taken.
    fn outputs(&mut self) -> Vec<String> {
        let ports = self.graph.outputs().iter().zip(self.graph.output_names());
        let mut outputs: Vec<String> = Vec::with_capacity(self.graph.outputs().len());
        for (value, name) in ports {
            let passed = self.graph.is_input(*value) && self.names[value] == *name && !outputs.contains(name);
            outputs.push(if passed { name.clone() } else { self.shared.names.unique(name) });
        }
        outputs
    }

    /// The values that can bear the name of an output: results of nodes, each for its first output.
    fn ends(&self, outputs: &[String]) -> BTreeMap<Value, String> {
        let mut ends = BTreeMap::new();
        for (value, name) in self.graph.outputs().iter().zip(outputs) {
            if !self.graph.is_input(*value) && self.graph.constant(*value).is_none() {
                ends.entry(*value).or_insert_with(|| name.clone());
            }
        }
        ends
    }

    fn node(&mut self, id: NodeId, ends: &BTreeMap<Value, String>) -> Result<(), Cause> {
        let node = self.graph.node(id);
        let values: Vec<Value> =
            (0..node.results.len()).map(|slot| Value { node: id, slot: slot as u32 }).collect();
        let names: Vec<String> = values
            .iter()
            .map(|v| ends.get(v).cloned().unwrap_or_else(|| self.shared.names.unique(self.graph.name_of(*v))))
            .collect();
        match (node.op.as_str(), node.attrs.get("value"), names.first()) {
            ("Const", Some(Attr::Tensor(tensor)), Some(name)) => {
                self.shared.opset = self.shared.opset.max(opset::needed(node, &[]));
                self.weights.push(parts::tensor(name, tensor));
            }
            ("weft.Extents", ..) if self.is_written_by_users(Value { node: id, slot: 0 }) => {}
            ("weft.Extents", Some(Attr::Dims(dims)), Some(name)) => self.extents(dims, name)?,
            _ => self.operator(id, node, names.clone())?,
        }
        values.into_iter().zip(names).for_each(|(value, name)| self.call(value, name));
        Ok(())
    }

    /// A node as a node.
    fn operator(&mut self, id: NodeId, node: &'a Node, output: Vec<String>) -> Result<(), Cause> {
        let def = self.shared.ops.get(node.op.as_str());
        let def = def.ok_or_else(|| Cause::unsupported("this operator is not known"))?;
        let mut input: Vec<String> = self
            .graph
            .operands(id)
            .iter()
            .map(|o| o.map_or_else(String::new, |v| self.names[&v].clone()))
            .collect();
        let captured = input.split_off(own_operands(def, node, input.len()));
        let mut attribute = attributes(node)?;
        if let (Some(target), Some(shape)) = (self.target(id), input.get_mut(1)) {
            *shape = self.numbers(&target);
            attribute.retain(|attribute| attribute.name() != "allowzero");
        }
        attribute.extend(self.regions(node, &captured)?);
        if node.op == "Scan" {
            let scanned = Attrs { def, node }.int("scanned");
            attribute.push(parts::attribute("num_scan_inputs", &Attr::Int(scanned))?);
        }
        if is_channels_last(node) {
            let rank = self.graph.operand(id, 0).and_then(|value| self.graph.ty(value).rank());
            return self.turned(id, node, (input, output, attribute), rank.unwrap_or(0));
        }
        self.call_of(id, node, (input, output, attribute))
    }

    /// The node itself, or what it means in an opset that has not got it.
    fn call_of(&mut self, id: NodeId, node: &Node, message: Message) -> Result<(), Cause> {
        let (input, output, attribute) = message;
        let (domain, op_type) = node.op.as_str().rsplit_once('.').unwrap_or(("", node.op.as_str()));
        if domain.is_empty() {
            let types: Vec<_> =
                self.graph.operands(id).iter().flatten().map(|v| self.graph.ty(*v).dtype).collect();
            let needed = opset::needed(node, &types);
            if needed > self.shared.newest {
                return self.expand(id, &input, &output, needed);
            }
            self.shared.opset = self.shared.opset.max(needed);
        } else {
            self.shared.domains.insert(domain.to_string(), 1);
        }
        let (name, doc_string) = self.shared.note(output.first().map_or("", String::as_str));
        self.nodes.push(NodeProto {
            name,
            doc_string,
            op_type: Some(op_type.to_string()),
            domain: (!domain.is_empty()).then(|| domain.to_string()),
            input,
            output,
            attribute,
            ..Default::default()
        });
        Ok(())
    }

    /// A node with its channels last, between transpositions.
    fn turned(&mut self, id: NodeId, node: &Node, message: Message, rank: usize) -> Result<(), Cause> {
        let (mut input, mut output, attribute) = message;
        let (Some(first), Some(result)) = (input.first_mut(), output.first_mut()) else {
            return Err(Cause::unsupported("channels last, without operand or result"));
        };
        let perm = |perm: Vec<i64>| Ok::<_, Cause>(vec![parts::attribute("perm", &Attr::Ints(perm))?]);
        let rank = rank as i64;
        let to_first = [0, rank - 1].into_iter().chain(1..rank - 1).collect();
        let to_last = std::iter::once(0).chain(2..rank).chain([1]).collect();
        let (before, after) = (
            self.shared.names.unique(&format!("{result}/nchw/in")),
            self.shared.names.unique(&format!("{result}/nchw")),
        );
        let last = std::mem::replace(result, after.clone());
        self.step("Transpose", &[first.as_str()], perm(to_first)?, &before);
        *first = before;
        self.call_of(id, node, (input, output, attribute))?;
        self.step("Transpose", &[&after], perm(to_last)?, &last);
        Ok(())
    }

    /// The regions of a node as attributes.
    fn regions(&mut self, node: &'a Node, captured: &[String]) -> Result<Vec<AttributeProto>, Cause> {
        let names = REGIONS.iter().find(|(op, _)| node.op == *op).map_or(&[][..], |(_, names)| names);
        if names.len() != node.regions.len() {
            return Err(Cause::unsupported("the regions of this operator"));
        }
        let graphs = names.iter().zip(&node.regions).map(|(name, region)| {
            let writer = GraphWriter::region(region, self.shared, self.symbols.clone(), captured);
            AttributeProto {
                name: Some(name.to_string()),
                r#type: Some(AttributeType::Graph as i32),
                g: Some(writer.finish(name.to_string())),
                ..Default::default()
            }
        });
        Ok(graphs.collect())
    }

    /// Adds a node that is none of the module's.
    pub(super) fn step(&mut self, op: &str, inputs: &[&str], attribute: Vec<AttributeProto>, output: &str) {
        let (name, doc_string) = self.shared.note(output);
        self.nodes.push(NodeProto {
            name,
            doc_string,
            op_type: Some(op.to_string()),
            input: inputs.iter().map(ToString::to_string).collect(),
            output: vec![output.to_string()],
            attribute,
            ..Default::default()
        });
    }

    /// The value and axis at which a named extent can be read.
    pub(super) fn symbol(&self, name: &str) -> Result<(String, usize), Cause> {
        let known = self.symbols.get(name).cloned();
        known.ok_or_else(|| Cause::Unsupported(format!("extent `{}` of no value before", Dim::symbol(name))))
    }
}

/// How many operands are not captures.
fn own_operands(def: &OpDef, node: &Node, operands: usize) -> usize {
    let count = |name: &str| usize::try_from(Attrs { def, node }.int(name)).unwrap_or(0);
    let own = match node.op.as_str() {
        "If" => 1,
        "Loop" => 2 + count("carried"),
        "Scan" => count("states") + count("scanned"),
        _ => operands,
    };
    own.min(operands)
}

/// Whether the channels of a node are last; ONNX has them first.
fn is_channels_last(node: &Node) -> bool {
    matches!(node.attrs.get("layout"), Some(Attr::Str(layout)) if layout == "nhwc")
}

fn attributes(node: &Node) -> Result<Vec<AttributeProto>, Cause> {
    let op = node.op.as_str();
    let layout = |name: &str, attr: &Attr| name == "layout" && matches!(attr, Attr::Str(_));
    let written = node
        .attrs
        .iter()
        .filter(|(name, attr)| !NOT_WRITTEN.contains(&(op, name.as_str())) && !layout(name, attr));
    written.map(|(name, attr)| parts::attribute(name, attr)).collect()
}
