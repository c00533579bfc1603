//! The axes of a kernel: merging those that lie in one row everywhere, choosing the one to vectorise.
use super::Machine;
use crate::nest::{Access, BufferId, Builder};
use crate::term::{Index, Source, Term, TermId, Terms};
use std::collections::BTreeMap;
use weft_ir::{DType, Dim};

/// The axes over which terms are evaluated.
#[derive(Debug, Clone)]
pub(crate) struct Domain {
    /// The terms, over the axes as they are now.
    pub(crate) terms: Terms,
    /// Extents.
    pub(crate) dims: Vec<Dim>,
    /// The terms that are computed.
    pub(crate) roots: Vec<TermId>,
    /// Where the results go.
    pub(crate) out: Index,
}

impl Domain {
    pub(crate) fn new(terms: Terms, dims: Vec<Dim>, roots: Vec<TermId>, out: Index) -> Self {
        Self { terms, dims, roots, out }
    }

    /// Drops axes of extent 1 and merges neighbours that are one row for every position in use, within
    /// groups of axes, given by where each ends. Every group keeps at least one axis; returns where
    /// each ends now.
    pub(crate) fn collapse_groups(&mut self, ends: &[usize]) -> Vec<usize> {
        let mut positions = self.terms.positions(&self.roots);
        positions.push(self.out.clone());
        // Where each old axis went.
        let mut to: Vec<Index> = Vec::new();
        let mut dims: Vec<Dim> = Vec::new();
        let mut new_ends = Vec::new();
        let mut axis = 0;
        for end in ends {
            let start = dims.len();
            while axis < *end {
                let dim = self.dims[axis].clone();
                let before = to.iter().rposition(|i| i.as_axis().is_some_and(|a| a as usize >= start));
                let row =
                    |p: &Index, before: usize| p.factor(before as u32) == p.factor(axis as u32).mul(&dim);
                if dim.as_fixed() == Some(1) {
                    to.push(Index::fixed(0));
                } else if let Some(before) = before.filter(|b| positions.iter().all(|p| row(p, *b))) {
                    // The outer one is counted by the merged axis.
                    to[before] = Index::fixed(0);
                    let merged = dims.len() - 1;
                    dims[merged] = dims[merged].mul(&dim);
                    to.push(Index::axis(merged as u32));
                } else {
                    to.push(Index::axis(dims.len() as u32));
                    dims.push(dim);
                }
                axis += 1;
            }
            if dims.len() == start {
                dims.push(Dim::fixed(1));
            }
            new_ends.push(dims.len());
        }
        let place = |axis: u32| to[axis as usize].clone();
        self.roots = self.roots.clone().into_iter().map(|root| self.terms.at(root, &place)).collect();
        self.out = self.out.substitute(&place);
        self.dims = dims;
        new_ends
    }

    /// The axis along which most memory is read and written in a row.
    pub(crate) fn lane_axis(&self, machine: &Machine) -> usize {
        self.lanes(machine).0
    }

    /// What lanes along the best axis cost.
    pub(super) fn lane_cost(&self, machine: &Machine) -> i64 {
        self.lanes(machine).1
    }

    /// The best axis for lanes, and what they cost.
    fn lanes(&self, machine: &Machine) -> (usize, i64) {
        let mut positions = self.terms.positions(&self.roots);
        // Writing apart costs more than reading apart.
        positions.extend([self.out.clone(), self.out.clone()]);
        let lanes = i64::from(machine.lanes(DType::F32));
        let cost = |axis: usize| -> i64 {
            let short = self.dims[axis].as_fixed().is_some_and(|d| d < lanes);
            let spread = positions.iter().map(|p| match p.factor(axis as u32).as_fixed() {
                _ if p.opaques().any(|t| self.terms.varies(t, axis as u32)) => 12,
                Some(0) => 0,
                Some(1) => 1,
                _ => 12,
            });
            spread.sum::<i64>() + if short { 4 + lanes - self.dims[axis].as_fixed().unwrap_or(0) } else { 0 }
        };
        let costs = (0..self.dims.len()).rev().map(|axis| (axis, cost(axis)));
        costs.min_by_key(|(_, cost)| *cost).unwrap_or((0, 0))
    }

    /// What the schedule is called where lanes along that axis read or write elements that do not lie
    /// in a row: `generic` before its name, so that profiles tell.
    pub(crate) fn title(&self, name: &str, axis: usize) -> String {
        if self.in_row(axis) { name.to_string() } else { format!("generic {name}") }
    }

    /// Whether all that lanes along an axis read and write lies in a row, or is the same.
    pub(super) fn in_row(&self, axis: usize) -> bool {
        self.rows(&self.roots, axis) && self.lies(&self.out, axis)
    }

    /// Whether all that terms read along an axis lies in a row, or is the same.
    pub(super) fn rows(&self, terms: &[TermId], axis: usize) -> bool {
        self.terms.positions(terms).iter().all(|position| self.lies(position, axis))
    }

    fn lies(&self, position: &Index, axis: usize) -> bool {
        let varies = position.opaques().any(|term| self.terms.varies(term, axis as u32));
        !varies && matches!(position.factor(axis as u32).as_fixed(), Some(0 | 1))
    }

    /// The sources in use, with their element types.
    pub(crate) fn sources(&self) -> Vec<Source> {
        self.typed_sources().into_keys().collect()
    }

    fn typed_sources(&self) -> BTreeMap<Source, DType> {
        let all = self.terms.reachable(&self.roots);
        let loads = all.iter().filter_map(|id| match self.terms.get(*id) {
            Term::Load(source, dtype, _) => Some((*source, *dtype)),
            _ => None,
        });
        loads.collect()
    }

    /// A buffer parameter for each source, in a table by source number.
    pub(crate) fn buffers(&self, b: &mut Builder, used: &[Source]) -> Vec<BufferId> {
        self.buffers_typed(b, used, &[])
    }

    /// The same, with the element types of sources that no term loads.
    pub(crate) fn buffers_typed(
        &self,
        b: &mut Builder,
        used: &[Source],
        more: &[(Source, DType)],
    ) -> Vec<BufferId> {
        let mut types = self.typed_sources();
        types.extend(more.iter().copied());
        let mut table = vec![BufferId(u32::MAX); used.last().map_or(0, |s| s.0 as usize + 1)];
        for (i, source) in used.iter().enumerate() {
            table[source.0 as usize] = b.buffer(&format!("in{i}"), types[source], Access::Read);
        }
        table
    }
}
