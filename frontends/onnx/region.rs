//! Subgraphs of control flow: what they take from outside becomes operands of their node.
use crate::attributes::Attributes;
use crate::builder::{Builder, Stop};
use crate::frame::{Binding, Frame, Surroundings};
use crate::model::{clip, concerning, domain, node_name};
use crate::names::{Names, nested};
use crate::order::{free_names, makers};
use crate::proto::{GraphProto, NodeProto, TensorProto, ValueInfoProto};
use std::sync::Arc;
use weft_frontend::{Cause, Place};
use weft_ir::{DType, Fact, Graph, Tensor, Value};

/// Regions may lie this deep in each other, functions inlined.
const MAX_REGIONS: usize = 64;

/// What the subgraphs of one node take from outside.
#[derive(Default)]
pub(crate) struct Captures<'a> {
    /// Values, which become operands and inputs of every region.
    pub(crate) values: Vec<(&'a str, Value)>,
    /// What needs no operand: constants are repeated inside, broken values stay broken.
    rest: Vec<(&'a str, Binding)>,
}

/// A subgraph with what its inputs are.
pub(crate) struct Region<'a> {
    /// The name of the attribute.
    pub(crate) name: &'static str,
    pub(crate) proto: &'a GraphProto,
    /// Its own inputs and then the captures.
    pub(crate) entry: Vec<Fact>,
}

impl<'a> Builder<'_, 'a> {
    /// What the subgraphs take from outside, in the order they first use it.
    pub(crate) fn captures(&mut self, graphs: &[&'a GraphProto]) -> Result<Captures<'a>, Stop> {
        let mut captures = Captures::default();
        let mut seen = std::collections::BTreeSet::new();
        for name in graphs.iter().flat_map(|graph| free_names(graph)).filter(|name| seen.insert(*name)) {
            match self.frame().names.get(name) {
                Some(Binding::Value(value)) => {
                    let value = *value;
                    match self.fact(value).constant.clone() {
                        Some(tensor) => captures.rest.push((name, Binding::Weight(tensor))),
                        None => captures.values.push((name, value)),
                    }
                }
                Some(Binding::List(_)) => {
                    let what = format!("`{}`, a sequence, in a subgraph", clip(name));
                    return Err(Cause::Unsupported(what).into());
                }
                Some(other) => captures.rest.push((name, other.clone())),
                None => {
                    let what = format!("`{}`, used in a subgraph, is not defined", clip(name));
                    return Err(Cause::Invalid(what).into());
                }
            }
        }
        Ok(captures)
    }

    /// Reads a subgraph.
    pub(crate) fn region(
        &mut self,
        node: &'a NodeProto,
        region: Region<'a>,
        captures: &Captures<'a>,
    ) -> Result<(Graph, Vec<Fact>), Stop> {
        if self.depth == MAX_REGIONS {
            return Err(Cause::Unsupported(format!("subgraphs nested more than {MAX_REGIONS} deep")).into());
        }
        let outer = &self.frame().around;
        let path = nested(&outer.path, node_name(node)).into();
        let around = Surroundings { path, ..outer.clone() };
        let problems = self.model.problems.len();
        let captured: Vec<_> =
            captures.values.iter().map(|(name, v)| (*name, self.graph.name_of(*v).to_string())).collect();
        let mut inner = Builder::new(self.model, region.name, self.depth + 1);
        inner.frames.push(Frame::new(around));
        inner.frame_mut().names.extend(captures.rest.iter().cloned());
        inner.formals(region.proto, region.entry, captured)?;
        let outputs = inner.body(region.proto);
        let Builder { mut graph, facts, model, .. } = inner;
        let facts = outputs.iter().map(|value| facts[value].clone()).collect();
        if model.problems.len() > problems || outputs.len() < region.proto.output.len() {
            return Err(Stop::Reported);
        }
        graph.set_outputs(outputs);
        graph.set_output_names(output_names(&region.proto.output));
        Ok((graph, facts))
    }

    /// The inputs of a region: its own, then the captures under their outer names.
    fn formals(
        &mut self,
        proto: &'a GraphProto,
        mut entry: Vec<Fact>,
        captured: Vec<(&'a str, String)>,
    ) -> Result<(), Stop> {
        let expected = entry.len() - captured.len().min(entry.len());
        if proto.input.len() != expected {
            let found = proto.input.len();
            return Err(
                Cause::Invalid(format!("the subgraph takes {found} inputs, expected {expected}")).into()
            );
        }
        let outer = entry.split_off(expected);
        for (input, fact) in proto.input.iter().zip(entry) {
            let wanted = self.frame().wanted_name(input.name());
            let name = self.model.names.unique(&wanted);
            let value = self.input(&name, fact);
            self.bind(input.name(), Binding::Value(value))?;
        }
        for ((inner, name), fact) in captured.into_iter().zip(outer) {
            let value = self.input(&name, fact);
            self.bind(inner, Binding::Value(value))?;
        }
        self.frame_mut().add_hints(&proto.input);
        proto.input.iter().try_for_each(|input| self.as_declared(input.name()))?;
        Ok(())
    }

    /// Reads the weights and nodes of a graph and gives its outputs, those that could be read.
    pub(crate) fn body(&mut self, proto: &'a GraphProto) -> Vec<Value> {
        self.open(proto);
        self.run();
        let mut outputs = Vec::with_capacity(proto.output.len());
        for output in &proto.output {
            match self.output(output.name()) {
                Ok(Some(value)) => outputs.push(value),
                Err(Stop::Reported) => {}
                Ok(None) => {
                    let cause = Cause::invalid("the caller of the function left it out");
                    self.model.complain(Place::Value(clip(output.name())), cause);
                }
                Err(Stop::Because(cause)) => {
                    let path = self.frame().around.path.clone();
                    let cause = concerning(cause, "made", &path, makers(&proto.node, output.name()));
                    self.model.complain(Place::Value(clip(output.name())), cause);
                }
            }
        }
        outputs
    }

    /// An output, which is of the type that the file gives it.
    fn output(&mut self, name: &'a str) -> Result<Option<Value>, Stop> {
        let value = self.lookup(name)?;
        self.as_declared(name)?;
        Ok(value)
    }

    /// Binds the weights of a graph and puts its nodes before the reader.
    fn open(&mut self, proto: &'a GraphProto) {
        for weight in &proto.initializer {
            if let Err(cause) = self.weight(weight) {
                self.model.complain(Place::Value(clip(weight.name())), cause);
                self.frame_mut().names.insert(weight.name(), Binding::Broken);
            }
        }
        for sparse in &proto.sparse_initializer {
            let name = sparse.values.as_ref().map_or("", TensorProto::name);
            self.model.complain(Place::Value(clip(name)), Cause::unsupported("sparse weights"));
            self.frame_mut().names.insert(name, Binding::Broken);
        }
        self.frame_mut().add_hints(&proto.value_info);
        self.frame_mut().add_hints(&proto.output);
        self.queue(&proto.node);
    }

    /// The subgraph that an `If` runs, where that is known: the other one need not even make sense.
    pub(crate) fn taken_branch(
        &self,
        node: &NodeProto,
        operands: &[Option<Value>],
        attrs: &Attributes<'a>,
    ) -> Result<Option<&'a GraphProto>, Cause> {
        let (true, Some(Some(condition))) = (is_if(node), operands.first()) else { return Ok(None) };
        let fact = self.fact(*condition);
        let name = match fact.ints().as_deref() {
            Some([0]) if fact.dtype() == DType::Bool => "else_branch",
            Some([1]) if fact.dtype() == DType::Bool => "then_branch",
            _ => return Ok(None),
        };
        ["then_branch", "else_branch"].iter().for_each(|branch| attrs.ignore(branch));
        match attrs.unread().first() {
            Some(unread) => Err(Cause::Unsupported(format!("attribute `{unread}`"))),
            None => attrs.graph(name).map(Some),
        }
    }

    /// Begins to read a subgraph as if its nodes stood where its node stands.
    pub(crate) fn enter_branch(&mut self, node: &'a NodeProto, proto: &'a GraphProto) -> Result<(), Stop> {
        if self.frames.len() > MAX_REGIONS {
            return Err(Cause::Unsupported(format!("subgraphs nested more than {MAX_REGIONS} deep")).into());
        }
        if !proto.input.is_empty() || proto.output.len() != node.output.len() {
            let (found, expected) = (proto.output.len(), node.output.len());
            let what = format!("the subgraph has {found} outputs, expected {expected}, and no inputs");
            return Err(Cause::Invalid(what).into());
        }
        let outer = self.frame();
        let path = nested(&outer.around.path, node_name(node)).into();
        let mut frame = Frame::new(Surroundings { path, ..outer.around.clone() });
        for name in free_names(proto) {
            let binding = outer.names.get(name).cloned();
            let missing = || Cause::Invalid(format!("`{}`, used in a subgraph, is not defined", clip(name)));
            frame.names.insert(name, binding.ok_or_else(missing)?);
        }
        frame.leads_to(node, proto.output.iter().map(|output| output.name()).collect(), outer);
        self.frames.push(frame);
        self.open(proto);
        Ok(())
    }

    /// A weight of the file. One that is also an input is the input's default, and is taken.
    fn weight(&mut self, proto: &'a TensorProto) -> Result<(), Cause> {
        let tensor: Tensor = crate::tensor::tensor(proto, self.model.source)?;
        self.bind(proto.name(), Binding::Weight(Arc::new(tensor)))
    }
}

/// The names of the outputs as users know them, made unique.
pub(crate) fn output_names(outputs: &[ValueInfoProto]) -> Vec<String> {
    let mut names = Names::default();
    outputs.iter().map(|output| names.unique(output.name())).collect()
}

fn is_if(node: &NodeProto) -> bool {
    domain(node.domain()).is_empty() && node.op_type() == "If"
}

#[cfg(test)]
mod tests;
