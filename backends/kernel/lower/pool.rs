//! Pooling: windows that slide over an image, as reductions over the places in the window.
use super::anchor::Kind;
use super::formula::wide;
use super::window::Window;
use super::{Call, Handle, Lowering, Result, identity};
use crate::math::Function as F;
use crate::schedule::Combine;
use crate::term::{Index, TermId};
use weft_ir::ops::window::Layout;
use weft_ir::{DType, Dim};

/// A window over an image in memory.
struct Pool {
    image: Handle,
    /// Extents of the image.
    size: Vec<Dim>,
    /// Extents of the result.
    dims: Vec<Dim>,
    /// The first spatial axis.
    first: usize,
    window: Window,
    /// Before and behind each spatial axis.
    pads: Vec<(Dim, Dim)>,
    ceil: bool,
}

/// What a place in the window reads.
struct Tap {
    /// The element there, or the nearest one inside.
    value: TermId,
    /// Whether the place is inside; absent where it always is.
    inside: Option<TermId>,
    /// Where it reads.
    at: Vec<Index>,
}

impl Pool {
    fn new(cx: &mut Lowering<'_>, call: &Call<'_>) -> Result<Self> {
        let (image, dims) = (call.operand(0)?, call.dims(0)?);
        let size = cx.dims_of(image);
        let first = Layout::of(&call.attrs).map_err(|e| e.0)?.spatial();
        let window = Window::new(call, call.attrs.ints("kernel_shape"))?;
        let spatial = &size[first..first + window.kernel.len()];
        let pads = window.pads(call, spatial);
        window.must_fit(cx, call, (spatial, &pads));
        cx.force(image);
        Ok(Self { image, size, dims, first, window, pads, ceil: call.attrs.flag("ceil_mode") })
    }

    fn rank(&self) -> usize {
        self.dims.len()
    }

    fn kernel(&self) -> Vec<Dim> {
        self.window.kernel.iter().map(|k| Dim::fixed(*k)).collect()
    }

    /// How many elements the window spans on an axis.
    fn span(&self, axis: usize) -> i64 {
        (self.window.kernel[axis] - 1) * self.window.dilations[axis] + 1
    }

    /// Whether no place of the window is ever outside on an axis.
    fn is_inside(&self, axis: usize) -> bool {
        let (before, behind) = &self.pads[axis];
        if before.as_fixed() != Some(0) {
            return false;
        }
        let to = &self.dims[self.first + axis];
        let end = to.plus(-1).scale(self.window.strides[axis]).plus(self.span(axis));
        let room = self.size[self.first + axis].sub(&end).as_fixed();
        room.map_or(behind.as_fixed() == Some(0) && !self.ceil, |room| room >= 0)
    }

    /// Whether the nearest element inside belongs to the window too, whichever window it is.
    fn overlaps(&self, axis: usize) -> bool {
        let fits = |pad: &Dim| pad.as_fixed().is_none_or(|p| p < self.window.kernel[axis]);
        self.window.dilations[axis] == 1 && fits(&self.pads[axis].0) && fits(&self.pads[axis].1)
    }

    /// The first place of the window on a spatial axis, in the image.
    fn start(&self, axis: usize) -> Index {
        let own = Index::axis((self.first + axis) as u32).scale(&Dim::fixed(self.window.strides[axis]));
        own.plus(&self.pads[axis].0.scale(-1))
    }

    /// Reads a place of the window; its axes are numbered behind those of the result.
    fn tap(&self, cx: &mut Lowering<'_>) -> Tap {
        let mut at = identity(self.rank());
        let mut inside = None;
        for axis in 0..self.window.kernel.len() {
            let step = Dim::fixed(self.window.dilations[axis]);
            let place = self.start(axis).add(&Index::axis((self.rank() + axis) as u32).scale(&step));
            let extent = &self.size[self.first + axis];
            at[self.first + axis] = if self.is_inside(axis) {
                place
            } else {
                let position = cx.position(place);
                let within = cx.within(position, extent);
                inside = Some(cx.both(inside, within));
                let clamped = cx.clamped(position, extent);
                cx.terms.as_index(clamped)
            };
        }
        Tap { value: cx.read(self.image, &at), inside, at }
    }

    /// How many places of the window lie inside, or inside the pads, on an axis.
    fn count(&self, cx: &mut Lowering<'_>, axis: usize, with_pads: bool) -> TermId {
        let (before, behind) = &self.pads[axis];
        let mut end = self.size[self.first + axis].clone();
        let mut start = self.start(axis);
        if with_pads {
            start = start.plus(before);
            end = end.add(before).add(behind);
        }
        let kernel = Dim::fixed(self.window.kernel[axis]);
        let whole = with_pads && !self.ceil || self.is_inside(axis);
        if whole {
            return cx.number(&kernel);
        }
        // Places before the start, and those up to the end, rounded up.
        let minus = start.scale(&Dim::fixed(-1));
        let low = self.steps(cx, &minus, axis);
        let high = self.steps(cx, &minus.plus(&end), axis);
        let (zero, most) = (cx.integer(0), cx.number(&kernel));
        let low = cx.apply(F::Max, &[low, zero]);
        let high = cx.apply(F::Min, &[high, most]);
        let count = cx.minus(high, low);
        cx.apply(F::Max, &[count, zero])
    }

    /// A distance in steps of the dilation, rounded up.
    fn steps(&self, cx: &mut Lowering<'_>, distance: &Index, axis: usize) -> TermId {
        match self.window.dilations[axis] {
            1 => cx.position(distance.clone()),
            dilation => {
                let (up, by) = (cx.position(distance.plus(&Dim::fixed(dilation - 1))), cx.integer(dilation));
                cx.apply(F::FloorDiv, &[up, by])
            }
        }
    }
}

impl Lowering<'_> {
    /// Lowers pooling.
    pub(crate) fn pooling(&mut self, call: &Call<'_>) -> Option<Result<Vec<Handle>>> {
        Some(match call.op() {
            "MaxPool" => self.max_pool(call),
            "AveragePool" => self.average_pool(call).map(|h| vec![h]),
            "LpPool" => self.lp_pool(call).map(|h| vec![h]),
            "GlobalLpPool" => self.global_lp_pool(call).map(|h| vec![h]),
            _ => return None,
        })
    }

    /// Combines the places of a window.
    fn pooled(&mut self, pool: &Pool, input: TermId, combine: Combine) -> Handle {
        let dtype = self.terms.dtype(input);
        let kind = Kind::Reduce { inner: pool.kernel(), input, combine };
        self.anchor(kind, dtype, pool.dims.clone())
    }

    fn max_pool(&mut self, call: &Call<'_>) -> Result<Vec<Handle>> {
        let pool = Pool::new(self, call)?;
        let dtype = self.dtype_of(pool.image);
        let tap = pool.tap(self);
        let mut input = self.cast_term(tap.value, wide(dtype));
        let guarded = (0..pool.window.kernel.len()).any(|a| !pool.is_inside(a) && !pool.overlaps(a));
        if let Some(inside) = tap.inside.filter(|_| guarded) {
            let least = self.terms.constant(wide(dtype), Combine::Max.neutral(wide(dtype)));
            input = self.choose(inside, input, least);
        }
        let most = self.pooled(&pool, input, Combine::Max);
        if call.attrs.node.results.len() == 1 {
            return Ok(vec![self.cast(most, call.dtype(0))]);
        }
        self.force(most);
        let places = self.max_places(call, &pool, most);
        Ok(vec![self.cast(most, call.dtype(0)), places])
    }

    /// Where in the image the greatest elements stand: the first place of each window.
    fn max_places(&mut self, call: &Call<'_>, pool: &Pool, most: Handle) -> Handle {
        let tap = pool.tap(self);
        let (most, spatial) = (self.here(most), pool.size[pool.first..].to_vec());
        let value = self.cast_term(tap.value, self.terms.dtype(most));
        let found = self.same(value, most);
        let found = self.both(tap.inside, found);
        let mut plane = Index::fixed(0);
        for (at, extent) in tap.at[pool.first..].iter().zip(&spatial) {
            plane = plane.scale(extent).add(at);
        }
        let (plane, none) = (self.position(plane), self.integer(i64::MAX));
        let input = self.choose(found, plane, none);
        let first = self.pooled(pool, input, Combine::Min);
        let mut place = self.here(first);
        if call.attrs.int("storage_order") == 1 {
            place = self.by_columns(place, &spatial);
        }
        let elements = spatial.iter().fold(Dim::fixed(1), |p, d| p.mul(d));
        let channel = Index::axis(0).scale(&pool.size[1]).add(&Index::axis(1));
        let start = self.position(channel.scale(&elements));
        let term = self.plus(start, place);
        self.lazy(pool.dims.clone(), term)
    }

    /// A place counted row by row, counted column by column.
    fn by_columns(&mut self, place: TermId, dims: &[Dim]) -> TermId {
        let (mut rest, mut sum) = (place, self.integer(0));
        for axis in (0..dims.len()).rev() {
            let (extent, step) = (
                self.number(&dims[axis]),
                self.number(&dims[..axis].iter().fold(Dim::fixed(1), |p, d| p.mul(d))),
            );
            let at = self.apply(F::Fmod, &[rest, extent]);
            rest = self.apply(F::FloorDiv, &[rest, extent]);
            let part = self.times(at, step);
            sum = self.plus(sum, part);
        }
        sum
    }

    fn average_pool(&mut self, call: &Call<'_>) -> Result<Handle> {
        let pool = Pool::new(self, call)?;
        let dtype = wide(call.dtype(0));
        let input = self.guarded_tap(&pool, dtype);
        let total = self.pooled(&pool, input, Combine::Sum);
        let mut count = self.integer(1);
        for axis in 0..pool.window.kernel.len() {
            let places = pool.count(self, axis, call.attrs.flag("count_include_pad"));
            count = if axis == 0 { places } else { self.times(count, places) };
        }
        let one = self.integer(1);
        let count = self.apply(F::Max, &[count, one]);
        let (total, count) = (self.here(total), self.cast_term(count, dtype));
        let mean = self.over(total, count);
        let term = self.cast_term(mean, call.dtype(0));
        Ok(self.lazy(pool.dims, term))
    }

    /// A place of the window, zero outside of the image.
    fn guarded_tap(&mut self, pool: &Pool, dtype: DType) -> TermId {
        let tap = pool.tap(self);
        let value = self.cast_term(tap.value, dtype);
        let zero = self.zero(dtype);
        tap.inside.map_or(value, |inside| self.choose(inside, value, zero))
    }

    fn lp_pool(&mut self, call: &Call<'_>) -> Result<Handle> {
        let pool = Pool::new(self, call)?;
        let value = self.guarded_tap(&pool, wide(call.dtype(0)));
        let input = self.power_of_size(value, call.attrs.int("p"));
        let total = self.pooled(&pool, input, Combine::Sum);
        Ok(self.rooted(total, call.attrs.int("p"), call.dtype(0)))
    }

    fn global_lp_pool(&mut self, call: &Call<'_>) -> Result<Handle> {
        let (from, p) = (call.operand(0)?, call.attrs.int("p"));
        let (first, rank) = (Layout::of(&call.attrs).map_err(|e| e.0)?.spatial(), self.dims_of(from).len());
        let axes: Vec<usize> = (first..first + rank - 2).collect();
        let x = self.here(from);
        let x = self.cast_term(x, wide(call.dtype(0)));
        let input = self.power_of_size(x, p);
        let total = self.combined(from, input, &axes, Combine::Sum)?;
        Ok(self.rooted(total, p, call.dtype(0)))
    }

    /// `|x|` to the power `p`.
    fn power_of_size(&mut self, x: TermId, p: i64) -> TermId {
        let size = self.apply(F::Abs, &[x]);
        match p {
            1 => size,
            2 => self.times(x, x),
            _ => {
                let p = self.value(self.terms.dtype(x), p as f64);
                self.apply(F::Pow, &[size, p])
            }
        }
    }

    /// The `p`th root.
    fn rooted(&mut self, total: Handle, p: i64, dtype: DType) -> Handle {
        let (total, dims) = (self.here(total), self.dims_of(total));
        let root = match p {
            1 => total,
            2 => self.apply(F::Sqrt, &[total]),
            _ => {
                let p = self.value(self.terms.dtype(total), (p as f64).recip());
                self.apply(F::Pow, &[total, p])
            }
        };
        let term = self.cast_term(root, dtype);
        self.lazy(dims, term)
    }
}
