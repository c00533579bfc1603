//! The axes of a kernel: merging those that lie in one row everywhere, choosing the one to vectorise.
use super::Machine;
use crate::nest::{Access, BufferId, Builder};
use crate::term::{Index, Source, Term, TermId, Terms};
use std::collections::BTreeMap;
use weft_ir::{DType, Dim};

/// The axes over which terms are evaluated.
#[derive(Debug)]
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

    /// Drops axes of extent 1 and merges neighbours that are one row for every position in use.
    pub(crate) fn collapse(&mut self) {
        self.collapse_groups(self.dims.len());
    }

    /// The same, with the axes before `split` and those from it on kept apart. At least one axis stays
    /// before the split; returns how many there are.
    pub(crate) fn collapse_groups(&mut self, split: usize) -> usize {
        let mut outer = 0;
        let mut positions = self.terms.positions(&self.roots);
        positions.push(self.out.clone());
        // Where each old axis went, and what of the old axes makes each new one.
        let mut to: Vec<Index> = Vec::new();
        let mut dims: Vec<Dim> = Vec::new();
        let mut last: Option<u32> = None;
        for axis in 0..=self.dims.len() {
            if axis == split {
                last = None;
                if dims.is_empty() {
                    dims.push(Dim::fixed(1));
                }
                outer = dims.len();
            }
            let Some(dim) = self.dims.get(axis).cloned() else { break };
            if dim.as_fixed() == Some(1) {
                to.push(Index::fixed(0));
                continue;
            }
            let merges = last.is_some_and(|before| {
                positions.iter().all(|p| p.factor(before) == p.factor(axis as u32).mul(&dim))
            });
            if let Some(before) = last.filter(|_| merges) {
                let new = dims.len() as u32 - 1;
                // The outer one contributes through the merged axis: `factor(outer) = factor(inner) * dim`.
                to[before as usize] = Index::fixed(0);
                dims[new as usize] = dims[new as usize].mul(&dim);
                to.push(Index::axis(new));
            } else {
                to.push(Index::axis(dims.len() as u32));
                dims.push(dim);
            }
            last = Some(axis as u32);
        }
        let place = |axis: u32| to[axis as usize].clone();
        self.roots = self.roots.clone().into_iter().map(|root| self.terms.at(root, &place)).collect();
        self.out = self.out.substitute(&place);
        self.dims = dims;
        outer
    }

    /// The axis along which most memory is read and written in a row.
    pub(crate) fn lane_axis(&self, machine: &Machine) -> usize {
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
        (0..self.dims.len()).rev().min_by_key(|axis| cost(*axis)).unwrap_or(0)
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
        let types = self.typed_sources();
        let mut table = vec![BufferId(u32::MAX); used.last().map_or(0, |s| s.0 as usize + 1)];
        for (i, source) in used.iter().enumerate() {
            table[source.0 as usize] = b.buffer(&format!("in{i}"), types[source], Access::Read);
        }
        table
    }
}
