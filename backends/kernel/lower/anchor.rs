//! Anchors: what a kernel is built around.
use super::{Handle, Lowering, State, View, identity};
use crate::schedule::{Codes, Combine, Norm, Tile};
use crate::term::{Index, Source, Term, TermId};
use weft_ir::{DType, Dim};

/// The place of no node.
pub(crate) const ANYWHERE: usize = usize::MAX;

/// A contraction or reduction whose kernel is not written yet, or whose result is in memory.
#[derive(Debug, Clone)]
pub(crate) struct Anchor {
    /// What it computes.
    pub(crate) kind: Kind,
    /// Element type of its result.
    pub(crate) dtype: DType,
    /// Extents of its result.
    pub(crate) dims: Vec<Dim>,
    /// The place of the node at which all its uses meet; only there may the kernel be written with
    /// what follows fused behind.
    pub(crate) joint: usize,
    /// Its result, once it was stored by itself.
    pub(crate) stored: Option<View>,
}

/// What an anchor computes.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// Elements combined over inner axes, numbered behind those of the result.
    Reduce {
        /// The inner extents.
        inner: Vec<Dim>,
        /// What is combined.
        input: TermId,
        /// How.
        combine: Combine,
    },
    /// A matrix product; see [`crate::schedule::Gemm`].
    Gemm {
        /// How many batch axes there are.
        batch: usize,
        /// The extents of the depth axes.
        depth: Vec<Dim>,
        /// The left-hand side.
        a: TermId,
        /// The right-hand side in panels.
        b: Source,
        /// Where the panels of a batch start.
        b_start: Index,
        /// The tile the panels are made for.
        tile: Tile,
        /// How they are read where they hold codes of few bits.
        codes: Option<Codes>,
        /// The element type of the panels where it is narrower than that of the sums.
        narrow: Option<DType>,
        /// Whether a single row of `A` is mostly zero, so that rows of `B` may be skipped.
        skips: bool,
    },
    /// Rows that are normalised.
    Row {
        /// The axes that make a row.
        axes: Vec<usize>,
        /// What is normalised.
        input: TermId,
        /// How.
        norm: Norm,
    },
}

impl Kind {
    /// A product of numbers with panels of the same type.
    pub(crate) fn product(
        batch: usize,
        depth: Vec<Dim>,
        a: TermId,
        (b, b_start): (Source, Index),
        tile: Tile,
    ) -> Self {
        Kind::Gemm { batch, depth, a, b, b_start, tile, codes: None, narrow: None, skips: false }
    }
}

impl Lowering<'_> {
    /// A new anchor and the lazy tensor that is its result.
    pub(crate) fn anchor(&mut self, kind: Kind, dtype: DType, dims: Vec<Dim>) -> Handle {
        self.anchors.push(Anchor { kind, dtype, dims: dims.clone(), joint: 0, stored: None });
        let term = self.terms.add(Term::Anchor(dtype, self.anchors.len() as u32 - 1));
        self.lazy(dims, term)
    }

    /// Stores the result of an anchor by itself; terms that wait for it read it from memory then.
    pub(crate) fn store_anchor(&mut self, anchor: u32) {
        if self.anchors[anchor as usize].stored.is_some() {
            return;
        }
        let Anchor { dtype, dims, .. } = self.anchors[anchor as usize].clone();
        let term = self.terms.add(Term::Anchor(dtype, anchor));
        let view = self.allocate(dtype, &dims, "anchor");
        self.write_kernel(term, Some(anchor), &dims, &view, "anchor");
        self.anchors[anchor as usize].stored = Some(view);
    }

    /// The same term, with anchors that are in memory read from there.
    pub(crate) fn resolve(&mut self, term: TermId) -> TermId {
        let Some(anchor) = self.anchor_of(term) else { return term };
        let Some(view) = self.anchors[anchor as usize].stored.clone() else { return term };
        let (dtype, rank) = (self.anchors[anchor as usize].dtype, self.anchors[anchor as usize].dims.len());
        let source = self.source(view.memory);
        let load = self.terms.add(Term::Load(source, dtype, view.address(&identity(rank))));
        let leaf = self.terms.add(Term::Anchor(dtype, anchor));
        self.terms.replace(term, leaf, load)
    }

    /// Resolves the term of a tensor that is still lazy.
    pub(crate) fn refresh(&mut self, handle: Handle) {
        if let State::Lazy(term, Some(_)) = *self.state(handle) {
            let term = self.resolve(term);
            let anchor = self.anchor_of(term);
            self.tensors[handle.0 as usize].state = State::Lazy(term, anchor);
        }
    }
}
