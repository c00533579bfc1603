//! Tensors while a graph is lowered: in memory, or not computed yet.
use super::Lowering;
use crate::program::Memory;
use crate::term::{Index, Source, Term, TermId};
use weft_ir::{DType, Dim};

/// Names a tensor of one lowering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Handle(pub(crate) u32);

/// A tensor: its type and where its elements are.
#[derive(Debug, Clone)]
pub struct Tensor {
    /// Element type.
    pub dtype: DType,
    /// Extents.
    pub dims: Vec<Dim>,
    /// Where its elements are.
    pub state: State,
}

/// Where the elements of a tensor are.
#[derive(Debug, Clone)]
pub enum State {
    /// In memory.
    View(View),
    /// Not computed yet: a term over the axes of the tensor, with the anchor it waits for.
    Lazy(TermId, Option<u32>),
}

/// Elements in memory, `strides` apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Which memory.
    pub memory: Memory,
    /// The first element, in elements.
    pub offset: Dim,
    /// How far apart neighbours are on each axis, in elements.
    pub strides: Vec<Dim>,
}

impl View {
    /// All of a memory, in row-major order.
    pub fn whole(memory: Memory, dims: &[Dim]) -> Self {
        Self { memory, offset: Dim::fixed(0), strides: row_major(dims) }
    }

    /// Whether the elements lie in row-major order without gaps. Axes of extent 1 may have any stride.
    pub fn is_contiguous(&self, dims: &[Dim]) -> bool {
        let natural = row_major(dims);
        let fits = |((have, want), dim): ((&Dim, &Dim), &Dim)| have == want || dim.as_fixed() == Some(1);
        self.strides.iter().zip(&natural).zip(dims).all(fits)
    }

    /// The address of an element.
    pub fn address(&self, at: &[Index]) -> Index {
        let start = Index::constant(self.offset.clone());
        at.iter().zip(&self.strides).fold(start, |sum, (index, stride)| sum.add(&index.scale(stride)))
    }
}

/// The strides of elements in row-major order.
pub(super) fn row_major(dims: &[Dim]) -> Vec<Dim> {
    let mut strides = vec![Dim::fixed(1); dims.len()];
    for axis in (1..dims.len()).rev() {
        strides[axis - 1] = strides[axis].mul(&dims[axis]);
    }
    strides
}

impl Lowering<'_> {
    /// A new tensor.
    pub(crate) fn tensor(&mut self, dtype: DType, dims: Vec<Dim>, state: State) -> Handle {
        self.tensors.push(Tensor { dtype, dims, state });
        Handle(self.tensors.len() as u32 - 1)
    }

    /// A new tensor that is not computed yet.
    pub(crate) fn lazy(&mut self, dims: Vec<Dim>, term: TermId) -> Handle {
        let (dtype, anchor) = (self.terms.dtype(term), self.anchor_of(term));
        self.tensor(dtype, dims, State::Lazy(term, anchor))
    }

    /// Another view of memory.
    pub(crate) fn view(&mut self, dtype: DType, dims: Vec<Dim>, view: View) -> Handle {
        self.tensor(dtype, dims, State::View(view))
    }

    /// Extents.
    pub(crate) fn dims_of(&self, handle: Handle) -> Vec<Dim> {
        self.tensors[handle.0 as usize].dims.clone()
    }

    /// Element type.
    pub(crate) fn dtype_of(&self, handle: Handle) -> DType {
        self.tensors[handle.0 as usize].dtype
    }

    /// The elements' whereabouts.
    pub(crate) fn state(&self, handle: Handle) -> &State {
        &self.tensors[handle.0 as usize].state
    }

    /// The number of a memory among the sources of terms.
    pub(crate) fn source(&mut self, memory: Memory) -> Source {
        let found = self.sources.iter().position(|m| *m == memory);
        Source(found.unwrap_or_else(|| {
            self.sources.push(memory);
            self.sources.len() - 1
        }) as u32)
    }

    /// The element at a position.
    pub(crate) fn read(&mut self, handle: Handle, at: &[Index]) -> TermId {
        let plain = at.iter().enumerate().all(|(axis, index)| index.as_axis() == Some(axis as u32));
        if !plain && matches!(self.state(handle), State::Lazy(_, Some(_))) {
            self.force(handle);
        }
        match self.state(handle).clone() {
            State::View(view) => {
                if let Some(constant) = self.small_constant(handle, &view) {
                    return constant;
                }
                let (source, dtype) = (self.source(view.memory), self.dtype_of(handle));
                self.terms.add(Term::Load(source, dtype, view.address(at)))
            }
            State::Lazy(term, _) if plain => term,
            State::Lazy(term, _) => self.terms.at(term, &|axis| at[axis as usize].clone()),
        }
    }

    /// The positions at which an operand of extents `from` is read to fill a result of extents `to`.
    pub(crate) fn broadcast(&self, from: &[Dim], to: &[Dim]) -> Vec<Index> {
        let skip = to.len().saturating_sub(from.len());
        let one = Dim::fixed(1);
        let place = |(i, dim): (usize, &Dim)| {
            let axis = Index::axis((i + skip) as u32);
            match (dim.as_fixed(), to[i + skip].as_fixed()) {
                (Some(1), _) => Index::fixed(0),
                _ if *dim == to[i + skip] => axis,
                (Some(_), _) => axis,
                // Decided at run time: 0 where the extent is 1, else the position.
                (None, _) => axis.scale(&dim.sub(&one).smaller(&one)),
            }
        };
        from.iter().enumerate().map(place).collect()
    }
}
