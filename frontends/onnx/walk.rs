//! Reads the nodes of a body one after another; calls of functions push their bodies on a stack.
use crate::attributes::Attributes;
use crate::builder::{Builder, Stop};
use crate::call::{Call, Lists};
use crate::frame::{Binding, Exit};
use crate::model::{clip, domain, node_name, place};
use crate::ops::{self, Results};
use crate::order::{ordered, subgraphs};
use crate::proto::NodeProto;
use weft_frontend::{Cause, Place};
use weft_ir::Value;

impl<'a> Builder<'_, 'a> {
    /// Puts the nodes of a body before the reader, producers first.
    pub(crate) fn queue(&mut self, nodes: &'a [NodeProto]) {
        let order = ordered(nodes, &|name| self.frame().names.contains_key(name));
        let path = self.frame().around.path.clone();
        if order.moved {
            let name = order.nodes.first().map_or_else(String::new, |node| clip(node_name(node)));
            let message =
                format!("the nodes (the first is `{name}`) are not in the order they depend on each other");
            self.model.report.warn(Place::Model, message);
        }
        for node in order.cyclic {
            self.model.complain(
                place(&path, node),
                Cause::invalid("it is part of a cycle and needs its own result"),
            );
            self.poison(node);
        }
        self.frame_mut().nodes = order.nodes.into_iter().rev().collect();
    }

    /// Reads all nodes; the body of the graph itself stays as the only one.
    pub(crate) fn run(&mut self) {
        loop {
            if let Some(node) = self.frame_mut().nodes.pop() {
                if !self.model.count_node() {
                    self.frames.truncate(1);
                    self.frame_mut().nodes.clear();
                    return;
                }
                self.visit(node);
            } else if self.frames.len() > 1 {
                self.leave();
            } else {
                return;
            }
        }
    }

    fn visit(&mut self, node: &'a NodeProto) {
        let place = place(&self.frame().around.path, node);
        let outcome = match self.model.function(node) {
            Some(function) => self.enter(node, function),
            None => self.convert(node),
        };
        if let Err(stop) = outcome {
            if let Stop::Because(cause) = stop {
                self.model.complain(place, cause);
            }
            self.poison(node);
        }
    }

    /// Ends an inlined body: what it gives back becomes the results of the node it stands for.
    fn leave(&mut self) {
        let Some(mut frame) = self.frames.pop() else { return };
        let Some(Exit { node, results }) = frame.exit.take() else { return };
        for (i, outer) in node.output.iter().enumerate().filter(|(_, outer)| !outer.is_empty()) {
            let inner = results.get(i).and_then(|name| frame.names.get(name));
            let bound = match inner {
                Some(binding) => self.bind(outer, binding.clone()).and_then(|()| self.as_declared(outer)),
                None => Err(Cause::Invalid(format!("result {i} is not defined inside"))),
            };
            if let Err(cause) = bound {
                let place = place(&self.frame().around.path, node);
                self.model.complain(place, cause);
                self.poison(node);
            }
        }
    }

    /// Converts a node; where an operand is broken it is only checked to be understood.
    fn convert(&mut self, node: &'a NodeProto) -> Result<(), Stop> {
        let around = &self.frame().around;
        let bound = around.bound.clone();
        let version = around.opsets.get(domain(node.domain())).copied();
        let how = ops::find(node, version, self.model.ops).inspect_err(|_| self.survey(node))?;
        let (operands, lists) = self.operands(node).inspect_err(|_| self.survey(node))?;
        let attrs = Attributes::of(node, &bound)?;
        if let Some(branch) = self.taken_branch(node, &operands, &attrs)? {
            return self.enter_branch(node, branch);
        }
        let mut call = Call { builder: self, node, attrs, operands, lists };
        if version.is_some_and(|version| version < 6) {
            // A hint for memory of the first opsets.
            call.attrs.ignore("consumed_inputs");
        }
        let results = ops::convert(how, &mut call)?;
        match call.attrs.unread().as_slice() {
            [] => self.publish(node, results),
            unread => Err(Cause::Unsupported(format!("attributes `{}`", unread.join("`, `"))).into()),
        }
    }

    /// The operands of a node, those that are sequences apart.
    fn operands(&mut self, node: &'a NodeProto) -> Result<(Vec<Option<Value>>, Lists), Stop> {
        let mut operands = Vec::with_capacity(node.input.len());
        let mut lists = Lists::new();
        for (i, name) in node.input.iter().enumerate() {
            let value = match (name.as_str(), self.frame().names.get(name.as_str())) {
                ("", _) => None,
                (_, Some(Binding::List(list))) => {
                    lists.insert(i, list.clone());
                    None
                }
                (name, _) => self.lookup(name).map_err(|stop| at_operand(i, stop))?,
            };
            operands.push(value);
        }
        Ok((operands, lists))
    }

    /// Reports what is not understood inside of a node that cannot be converted.
    fn survey(&mut self, node: &'a NodeProto) {
        let around = self.frame().around.clone();
        let mut open: Vec<_> = subgraphs(node).collect();
        while let Some(graph) = open.pop() {
            for node in &graph.node {
                open.extend(subgraphs(node));
                let version = around.opsets.get(domain(node.domain())).copied();
                let found = ops::find(node, version, self.model.ops);
                if let (None, Err(cause)) = (self.model.function(node), found) {
                    self.model.complain(place(&around.path, node), cause);
                }
            }
        }
    }

    /// Lets the names of a node's results stand for what they are.
    fn publish(&mut self, node: &'a NodeProto, results: Results) -> Result<(), Stop> {
        for (i, name) in node.output.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            match &results {
                Results::List(list) if i == 0 => self.bind(name, Binding::List(list.clone()))?,
                Results::Values(values) if i < values.len() => {
                    self.bind(name, Binding::Value(values[i]))?;
                    self.as_declared(name)?;
                }
                _ => return Err(Cause::Invalid(format!("there is no result {i} (`{}`)", clip(name))).into()),
            }
        }
        Ok(())
    }

    /// Compares what a name stands for with what the file says of it; where they contradict each other, it
    /// is broken from here on.
    pub(crate) fn as_declared(&mut self, name: &'a str) -> Result<(), Cause> {
        let Some(Binding::Value(value)) = self.frame().names.get(name) else { return Ok(()) };
        let value = *value;
        self.declared(value, name).inspect_err(|_| {
            self.frame_mut().names.insert(name, Binding::Broken);
        })
    }

    /// Marks the results of a node as broken, so that its consumers stay silent.
    pub(crate) fn poison(&mut self, node: &'a NodeProto) {
        for name in node.output.iter().filter(|name| !name.is_empty()) {
            self.frame_mut().names.entry(name).or_insert(Binding::Broken);
        }
    }
}

fn at_operand(i: usize, stop: Stop) -> Stop {
    match stop {
        Stop::Because(Cause::Invalid(what)) => Cause::Invalid(format!("operand {i} {what}")).into(),
        other => other,
    }
}
