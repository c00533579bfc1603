//! Zeros around images, and between their elements.
//!
//! A convolution reads a padded image. Where the tensor is computed for a convolution, its kernel
//! writes into the middle of padded memory at once, and only the border is filled besides.
use super::window::Window;
use super::{Call, Handle, Lowering, State, View, identity};
use crate::math::Function as F;
use crate::term::{Term, TermId};
use weft_ir::{DType, Dim, Graph, Value};

/// A padded image, `[N, spatial.., C]`.
#[derive(Debug, Clone)]
pub(crate) struct Padded {
    /// All of it.
    whole: View,
    /// Where the image starts in it.
    starts: Vec<Dim>,
    /// Extents with the padding.
    dims: Vec<Dim>,
}

impl Padded {
    /// The image itself.
    fn middle(&self) -> View {
        let mut view = self.whole.clone();
        for (axis, start) in self.starts.iter().enumerate() {
            view.offset = view.offset.add(&view.strides[axis + 1].mul(start));
        }
        view
    }
}

impl Lowering<'_> {
    /// Padded memory for a value, if a convolution reads it.
    pub(crate) fn padded_target(&mut self, graph: &Graph, value: Value, handle: Handle) -> Option<View> {
        let pads = graph.uses(value).into_iter().find_map(|(user, position)| {
            let node = graph.node(user);
            let attrs = self.ops.attrs(node)?;
            if node.op != "Conv" || position != 0 || attrs.str("layout") != "nhwc" {
                return None;
            }
            let call = Call { graph, id: user, attrs, operands: Vec::new() };
            let shape = graph.ty(graph.operand(user, 1)?).static_dims()?;
            let kernel: Vec<i64> = shape.iter().skip(2).map(|d| *d as i64).collect();
            let window = Window::new(&call, &kernel).ok()?;
            let size = self.dims_of(handle);
            let pads = window.pads(&call, size.get(1..=kernel.len())?);
            pads.iter().any(|(a, b)| a.as_fixed() != Some(0) || b.as_fixed() != Some(0)).then_some(pads)
        })?;
        let (size, dtype) = (self.dims_of(handle), self.dtype_of(handle));
        let zero = self.zero(dtype);
        let padded = self.bordered(zero, &size, &pads)?;
        let middle = padded.middle();
        self.padded.insert(middle.memory, padded);
        Some(middle)
    }

    /// Memory for an image with a border of `fill`, already there; none where the padding may be negative.
    fn bordered(&mut self, fill: TermId, size: &[Dim], pads: &[(Dim, Dim)]) -> Option<Padded> {
        let fixed = |dim: &Dim| dim.as_fixed().is_some_and(|d| d >= 0);
        if !pads.iter().all(|(start, end)| fixed(start) && fixed(end)) {
            return None;
        }
        let mut dims = size.to_vec();
        for (axis, (start, end)) in pads.iter().enumerate() {
            dims[axis + 1] = size[axis + 1].add(start).add(end);
        }
        let whole = self.allocate(self.terms.dtype(fill), &dims, "padded");
        for (axis, (start, end)) in pads.iter().enumerate() {
            // Axes before this one are filled already, but for their middle.
            let mut slab = dims.clone();
            let mut view = whole.clone();
            for before in 0..axis {
                slab[before + 1] = size[before + 1].clone();
                view.offset = view.offset.add(&view.strides[before + 1].mul(&pads[before].0));
            }
            for (from, extent) in [(Dim::fixed(0), start), (start.add(&size[axis + 1]), end)] {
                if extent.as_fixed() == Some(0) {
                    continue;
                }
                slab[axis + 1] = extent.clone();
                let mut view = view.clone();
                view.offset = view.offset.add(&view.strides[axis + 1].mul(&from));
                self.write_kernel(fill, None, &slab, &view, "border");
            }
        }
        Some(Padded { whole, starts: pads.iter().map(|(start, _)| start.clone()).collect(), dims })
    }

    /// The image with `fill`, or zeros, around it.
    pub(crate) fn padded_image(
        &mut self,
        image: Handle,
        pads: &[(Dim, Dim)],
        fill: Option<TermId>,
    ) -> Handle {
        if pads.iter().all(|(a, b)| a.as_fixed() == Some(0) && b.as_fixed() == Some(0)) {
            return image;
        }
        let (size, dtype) = (self.dims_of(image), self.dtype_of(image));
        let view = self.force(image);
        if let (None, Some(found)) = (fill, self.around(&view, &size, pads)) {
            return self.view(dtype, found.dims, found.whole);
        }
        let starts: Vec<Dim> = pads.iter().map(|(start, _)| start.clone()).collect();
        let fill = fill.unwrap_or_else(|| self.zero(dtype));
        match self.bordered(fill, &size, pads) {
            Some(padded) => {
                self.copy(image, &padded.middle());
                self.view(dtype, padded.dims, padded.whole)
            }
            None => {
                let mut dims = size.clone();
                for (axis, (start, end)) in pads.iter().enumerate() {
                    dims[axis + 1] = size[axis + 1].add(start).add(end);
                }
                self.spread_image(image, &vec![1; pads.len()], &starts, (&dims, fill))
            }
        }
    }

    /// The padded image around a view, if it has just this border or a wider one.
    fn around(&self, view: &View, size: &[Dim], pads: &[(Dim, Dim)]) -> Option<Padded> {
        let padded = self.padded.get(&view.memory)?;
        if padded.middle() != *view {
            return None;
        }
        let mut found = padded.clone();
        for (axis, (start, end)) in pads.iter().enumerate() {
            let (more, less) =
                (padded.starts[axis].sub(start).as_fixed()?, size[axis + 1].add(start).add(end));
            let room = padded.dims[axis + 1].plus(-more).sub(&less).as_fixed()?;
            if more < 0 || room < 0 {
                return None;
            }
            found.whole.offset = found.whole.offset.add(&found.whole.strides[axis + 1].scale(more));
            found.dims[axis + 1] = less;
        }
        Some(found)
    }

    /// The image with its elements `steps` apart from `starts` on, `fill` elsewhere, in memory.
    pub(crate) fn spread_image(
        &mut self,
        image: Handle,
        steps: &[i64],
        starts: &[Dim],
        (dims, fill): (&[Dim], TermId),
    ) -> Handle {
        if let State::Lazy(..) = self.state(image) {
            self.force(image);
        }
        let mut at = identity(dims.len());
        let mut inside: Option<TermId> = None;
        let size = self.dims_of(image);
        for axis in 1..dims.len() - 1 {
            let (step, start) = (steps[axis - 1], &starts[axis - 1]);
            if step == 1 && start.as_fixed() == Some(0) && size[axis] == dims[axis] {
                continue;
            }
            let here = self.terms.add(Term::Position(at[axis].plus(&start.scale(-1))));
            let (place, within) = self.spread_place(here, step, &size[axis]);
            inside = Some(match inside {
                Some(all) => self.terms.call(DType::Bool, F::And, &[all, within]),
                None => within,
            });
            let clamped = self.clamped(place, &size[axis]);
            at[axis] = self.terms.as_index(clamped);
        }
        let Some(inside) = inside else { return image };
        let value = self.read(image, &at);
        let term = self.choose(inside, value, fill);
        let padded = self.lazy(dims.to_vec(), term);
        self.force_into(padded, None, "spread");
        padded
    }

    /// Which element lies at a position when elements are `step` apart, and whether one does.
    fn spread_place(&mut self, here: TermId, step: i64, size: &Dim) -> (TermId, TermId) {
        if step == 1 {
            return (here, self.within(here, size));
        }
        let step = self.number(&Dim::fixed(step));
        let place = self.terms.call(DType::I64, F::FloorDiv, &[here, step]);
        let within = self.within(place, size);
        let back = self.terms.call(DType::I64, F::Mul, &[place, step]);
        let exact = self.terms.call(DType::Bool, F::Eq, &[back, here]);
        (place, self.terms.call(DType::Bool, F::And, &[within, exact]))
    }
}
