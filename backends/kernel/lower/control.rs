//! Control flow: branches.
use super::{Call, Handle, Lowering, Result, View};
use crate::program::{Memory, Step};
use std::collections::{BTreeMap, BTreeSet};
use weft_ir::{DType, Dim, Value};

/// Ends the run in a branch whose result has another rank than all that is behind it can do with.
fn never(branch: &str, found: usize, expected: usize) -> Step {
    let message = format!("`{branch}` of an `If` gives a tensor of {found} axes, expected {expected}");
    Step::Check {
        left: Dim::fixed(found as i64),
        right: Dim::fixed(expected as i64),
        at_least: false,
        message,
    }
}

/// Where the results of both branches go.
struct Landing {
    dims: Vec<Dim>,
    dtype: DType,
    view: View,
    /// The symbols that the branches decide; then they size the memory too.
    open: BTreeSet<String>,
}

impl Lowering<'_> {
    /// Lowers control flow.
    pub(crate) fn control(&mut self, call: &Call<'_>) -> Option<Result<Vec<Handle>>> {
        match call.op() {
            "If" => Some(self.branch(call)),
            "Loop" => Some(self.repeat(call)),
            "Scan" => Some(self.scan(call)),
            _ => None,
        }
    }

    /// `If`: both branches leave their results in the same memory.
    fn branch(&mut self, call: &Call<'_>) -> Result<Vec<Handle>> {
        let condition = self.truth_in_memory(call.operand(0)?);
        let captures: Vec<Handle> = call.operands.iter().skip(1).flatten().copied().collect();
        captures.iter().for_each(|h| drop(self.force(*h)));
        let mut landings = Vec::new();
        for slot in 0..call.attrs.node.results.len() as u32 {
            landings.push(self.landing(call, slot)?);
        }
        let then = self.branch_steps(call, 0, &captures, &landings)?;
        let otherwise = self.branch_steps(call, 1, &captures, &landings)?;
        self.step(Step::If { condition, then, otherwise });
        Ok(landings.into_iter().map(|l| self.view(l.dtype, l.dims, l.view)).collect())
    }

    /// The memory of one truth value.
    pub(crate) fn truth_in_memory(&mut self, handle: Handle) -> Memory {
        let view = self.force_whole(handle);
        if view.offset.as_fixed() == Some(0) {
            return view.memory;
        }
        let whole = self.allocate(DType::Bool, &self.dims_of(handle), "condition");
        self.copy(handle, &whole);
        whole.memory
    }

    fn landing(&mut self, call: &Call<'_>, slot: u32) -> Result<Landing> {
        let (dims, dtype) = (call.dims(slot)?, call.dtype(slot));
        let open = self.open_symbols(&dims);
        let view = if open.is_empty() {
            self.target(call, slot, &dims)
        } else {
            self.program.grown += 1;
            View::whole(Memory::Grown(self.program.grown as u32 - 1), &dims)
        };
        // From here on the symbols have numbers; the branches set them.
        for name in &open {
            self.symbol(name);
        }
        Ok(Landing { dims, dtype, view, open })
    }

    fn branch_steps(
        &mut self,
        call: &Call<'_>,
        region: usize,
        captures: &[Handle],
        landings: &[Landing],
    ) -> Result<Vec<Step>> {
        let graph = self.own_region(call, region)?;
        let rank = |(value, landing): (&Value, &Landing)| (graph.ty(*value).rank(), landing.dims.len());
        let mut ranks = graph.outputs().iter().zip(landings).map(rank);
        if let Some((found, expected)) = ranks.find(|(found, expected)| *found != Some(*expected)) {
            return Ok(vec![never(&graph.name, found.unwrap_or_default(), expected)]);
        }
        let mut targets: BTreeMap<Value, View> = BTreeMap::new();
        for (value, landing) in graph.outputs().iter().zip(landings) {
            if !graph.is_input(*value) && landing.open.is_empty() {
                targets.entry(*value).or_insert_with(|| landing.view.clone());
            }
        }
        self.region(&graph, captures, targets, |cx, outputs| {
            for (handle, landing) in outputs.iter().zip(landings) {
                cx.land(*handle, landing);
            }
            Ok(())
        })
    }

    /// Puts a result of a branch where both leave it, sizing the memory if that is theirs to do.
    fn land(&mut self, handle: Handle, landing: &Landing) {
        if let Memory::Grown(grown) = landing.view.memory
            && !landing.open.is_empty()
        {
            let found = self.dims_of(handle);
            self.force(handle);
            self.decide(&landing.dims, &found, &landing.open);
            self.step(Step::Grow { grown, bytes: Self::bytes(landing.dtype, &landing.dims) });
        }
        self.put(handle, &landing.view);
    }

    /// Memory for a result, in row-major order: where it is expected, or its own.
    pub(crate) fn target(&mut self, call: &Call<'_>, slot: u32, dims: &[Dim]) -> View {
        let value = call.result(slot);
        let given = self.scope().targets.get(&value).cloned();
        match given.filter(|view| view.is_contiguous(dims)) {
            Some(view) => {
                self.size_output(&view, dims);
                view
            }
            None => self.allocate(call.dtype(slot), dims, call.graph.name_of(value)),
        }
    }
}
