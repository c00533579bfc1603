//! Control flow.
use super::{Call, Handle, Lowering, Result, Scope, View};
use crate::program::{Memory, Step};
use weft_ir::{Graph, Value};

impl Lowering<'_> {
    /// Lowers control flow.
    pub(crate) fn control(&mut self, call: &Call<'_>) -> Option<Result<Vec<Handle>>> {
        match call.op() {
            "If" => Some(self.branch(call)),
            _ => None,
        }
    }

    /// `If`: both branches leave their results in the same memory.
    fn branch(&mut self, call: &Call<'_>) -> Result<Vec<Handle>> {
        let condition = self.force_whole(call.operand(0)?).memory;
        let captures: Vec<Handle> = call.operands.iter().skip(1).flatten().copied().collect();
        captures.iter().for_each(|h| drop(self.force(*h)));
        let mut targets = Vec::new();
        for slot in 0..call.attrs.node.results.len() as u32 {
            let dims = call.dims(slot)?;
            if dims.iter().any(|d| d.symbols().iter().any(|s| !self.bound.contains(&**s))) {
                return Err("the branches give results of extents known only at run time".to_string());
            }
            targets.push(self.target(call, slot, &dims));
        }
        let [then, otherwise] = call.attrs.node.regions.as_slice() else {
            return Err("two branches are expected".to_string());
        };
        let then = self.region(then, &captures, &targets);
        let otherwise = self.region(otherwise, &captures, &targets);
        self.step(Step::If { condition, then, otherwise });
        let results = targets.into_iter().enumerate();
        results
            .map(|(slot, view)| Ok(self.view(call.dtype(slot as u32), call.dims(slot as u32)?, view)))
            .collect()
    }

    pub(crate) fn target(&mut self, call: &Call<'_>, slot: u32, dims: &[weft_ir::Dim]) -> View {
        let value = call.result(slot);
        let given = self.scope().targets.get(&value).cloned();
        match given {
            Some(view) => {
                self.size_output(&view, dims);
                view
            }
            None => self.allocate(call.dtype(slot), dims, call.graph.name_of(value)),
        }
    }

    /// The steps of a region; its inputs are the given tensors, its results go to the targets.
    fn region(&mut self, graph: &Graph, inputs: &[Handle], targets: &[View]) -> Vec<Step> {
        let mut scope = Scope::default();
        for (id, handle) in graph.inputs().iter().zip(inputs) {
            scope.values.insert(Value { node: *id, slot: 0 }, *handle);
        }
        for (value, target) in graph.outputs().iter().zip(targets) {
            if !graph.is_input(*value) && !matches!(target.memory, Memory::Weight(_)) {
                scope.targets.entry(*value).or_insert_with(|| target.clone());
            }
        }
        self.scopes.push(scope);
        self.steps.push(Vec::new());
        self.graph(graph);
        for (value, target) in graph.outputs().iter().zip(targets) {
            self.deliver(*value, target.clone());
        }
        self.scopes.pop();
        self.steps.pop().unwrap_or_default()
    }
}
