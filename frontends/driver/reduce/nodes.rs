//! Leaving out nodes and outputs.
use super::Reduction;
use super::piece::{tidy, with_outputs, without};
use crate::error::Error;
use std::collections::BTreeSet;
use weft_ir::{Graph, NodeId, Value};

impl Reduction<'_> {
    /// Leaves out nodes: halves, quarters, and so on to single ones.
    pub(super) fn nodes(&mut self) -> Result<(), Error> {
        let mut size = computing(&self.module.graph).len().div_ceil(2).max(1);
        loop {
            let shrunk = self.chunks(size)?;
            match (shrunk, size) {
                (false, 1) => return Ok(()),
                (true, 1) => {}
                _ => size = size.div_ceil(2),
            }
        }
    }

    /// Tries to leave out every run of so many nodes; whether any could be.
    fn chunks(&mut self, size: usize) -> Result<bool, Error> {
        let mut shrunk = false;
        // A graph that is made anew has other ids, but the same names.
        let labels: Vec<String> =
            computing(&self.module.graph).iter().map(|(_, label)| label.clone()).collect();
        for chunk in labels.chunks(size) {
            let present = computing(&self.module.graph).into_iter();
            let gone: BTreeSet<NodeId> =
                present.filter(|(_, label)| chunk.contains(label)).map(|(id, _)| id).collect();
            if gone.is_empty() {
                continue;
            }
            if let Some(graph) = without(&self.module.graph, &gone) {
                shrunk |= self.attempt(self.with(graph))?;
            }
        }
        Ok(shrunk)
    }

    /// Leaves out outputs, and what only they need.
    pub(super) fn outputs(&mut self) -> Result<(), Error> {
        let mut i = 0;
        while i < self.module.graph.outputs().len() && self.module.graph.outputs().len() > 1 {
            let others: Vec<usize> = (0..self.module.graph.outputs().len()).filter(|at| *at != i).collect();
            let smaller = self.with(with_outputs(&self.module.graph, &others));
            i += usize::from(!self.attempt(smaller)?);
        }
        Ok(())
    }

    /// Lets those who use a node use one of its operands instead.
    pub(super) fn bypass(&mut self) -> Result<(), Error> {
        let labels: Vec<String> = computing(&self.module.graph).into_iter().map(|(_, label)| label).collect();
        for label in labels {
            let at = computing(&self.module.graph).into_iter().find(|(_, name)| *name == label);
            let Some((id, _)) = at else { continue };
            for operand in self.module.graph.operands(id).into_iter().flatten() {
                let Some(graph) = bypassed(&self.module.graph, id, operand) else { continue };
                if self.attempt(self.with(graph))? {
                    break;
                }
            }
        }
        Ok(())
    }
}

fn bypassed(graph: &Graph, id: NodeId, operand: Value) -> Option<Graph> {
    let result = Value { node: id, slot: 0 };
    if graph.node(id).results.len() != 1 || graph.ty(result) != graph.ty(operand) {
        return None;
    }
    let mut made = graph.clone();
    made.redirect(result, operand);
    tidy(&mut made);
    Some(made)
}

/// All nodes but constants, which stay as long as somebody needs them, with their names.
fn computing(graph: &Graph) -> Vec<(NodeId, String)> {
    let nodes = graph.order().into_iter().filter(|id| graph.node(*id).op != "Const");
    nodes.map(|id| (id, graph.node(id).label().to_string())).collect()
}
