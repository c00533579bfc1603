//! Slices and pads.
use super::movement::place;
use super::named::either;
use super::number::FAR;
use super::{Call, Handle, Lowering, Result, identity};
use crate::math::Function as F;
use crate::nest::Scalar;
use crate::term::{Index, Term, TermId};
use weft_ir::{DType, Dim};

impl Lowering<'_> {
    /// `Slice`: another view of the same memory.
    pub(crate) fn slice(&mut self, call: &Call<'_>) -> Result<Handle> {
        let from = call.operand(0)?;
        let (dtype, old, dims) = (self.dtype_of(from), self.dims_of(from), call.dims(0)?);
        let ranges = self.slice_ranges(call)?;
        let computed = sliced(&old, &ranges);
        self.define_extents(&dims, &computed);
        let mut view = self.force(from);
        for range in &ranges {
            view.offset = view.offset.add(&view.strides[range.axis].mul(&range.start));
            view.strides[range.axis] = view.strides[range.axis].mul(&range.step);
        }
        Ok(self.view(dtype, dims, view))
    }

    /// What a slice takes on each axis it names, with starts inside the axis.
    fn slice_ranges(&mut self, call: &Call<'_>) -> Result<Vec<Range>> {
        let old = self.dims_of(call.operand(0)?);
        let (starts, ends) = (self.integers(call, 1)?, self.integers(call, 2)?);
        let count = starts.len();
        let axes = match call.optional(3) {
            Some(_) => self.integers(call, 3)?,
            None => (0..count as i64).map(Dim::fixed).collect(),
        };
        let steps = match call.optional(4) {
            Some(_) => self.integers(call, 4)?,
            None => vec![Dim::fixed(1); count],
        };
        let fixed = |dims: &[Dim]| dims.iter().map(Dim::as_fixed).collect::<Option<Vec<i64>>>();
        let (Some(axes), Some(steps)) = (fixed(&axes), fixed(&steps)) else {
            return self.open_ranges(&old, [&starts, &ends, &steps], &axes);
        };
        let mut ranges = Vec::new();
        for (((start, end), axis), step) in starts.iter().zip(&ends).zip(axes).zip(steps) {
            let axis = place(axis, old.len())?;
            ranges.push(Range::new(axis, &old[axis], (start, end), step)?);
        }
        Ok(ranges)
    }

    /// The same where only a run knows the axes or the steps: a range on every axis.
    fn open_ranges(
        &mut self,
        old: &[Dim],
        [starts, ends, steps]: [&[Dim]; 3],
        axes: &[Dim],
    ) -> Result<Vec<Range>> {
        let rank = old.len();
        let named = self.named(axes, rank)?;
        let [starts, ends, steps] = [starts, ends, steps].map(within_reach);
        let (zero, one) = (Dim::fixed(0), Dim::fixed(1));
        let starts = named.picked(&starts, &vec![zero.clone(); rank]);
        let ends = named.picked(&ends, old);
        let steps = named.picked(&steps, &vec![one.clone(); rank]);
        let mut ranges = Vec::new();
        for axis in 0..rank {
            let [start, end, step] =
                [&starts[axis], &ends[axis], &steps[axis]].map(|number| self.noted_signed(number));
            let down = self.noted(is_negative(&step));
            let pace = self.noted(step.larger(&step.scale(-1)));
            self.at_least(pace.clone(), one.clone(), "a step is 0");
            // Upwards both ends are kept in `0..=extent`, downwards one lower.
            let counted = |x: &Dim| x.add(&old[axis].mul(&is_negative(x))).add(&down);
            let inside = |x: Dim, high: &Dim| x.larger(&zero).smaller(high);
            let highest = self.noted(old[axis].sub(&down).larger(&zero));
            let start = self.noted(inside(counted(&start).sub(&down), &highest));
            let end = self.noted(inside(counted(&end), &old[axis]));
            let distance = either(&down, &start.plus(1).sub(&end), &end.sub(&start));
            let distance = self.noted(distance.larger(&zero).smaller(&old[axis]));
            let extent = self.noted(distance.div_ceil(&pace));
            ranges.push(Range { axis, start, step, extent });
        }
        Ok(ranges)
    }

    /// `Pad`: reads inside, or a constant.
    pub(crate) fn pad(&mut self, call: &Call<'_>) -> Result<Handle> {
        let (from, dims) = (call.operand(0)?, call.dims(0)?);
        let old = self.dims_of(from);
        let (before, computed) = self.pad_widths(call, &old)?;
        self.define_extents(&dims, &computed);
        self.force(from);
        let mode = call.attrs.str("mode");
        let mut at = identity(old.len());
        let mut inside: Option<TermId> = None;
        for axis in 0..old.len() {
            if before[axis].as_fixed() == Some(0) && old[axis] == dims[axis] {
                continue;
            }
            let position = self.position(at[axis].plus(&before[axis].scale(-1)));
            at[axis] = match mode {
                "reflect" if turns_once(&old[axis], &before[axis], &computed[axis]) => {
                    self.turned_back(position, &old[axis])
                }
                _ => self.padded(position, &old[axis], mode)?,
            };
            if mode == "constant" {
                let within = self.within(position, &old[axis]);
                inside = Some(self.both(inside, within));
            }
        }
        let value = self.read(from, &at);
        let Some(inside) = inside else { return Ok(self.lazy(dims, value)) };
        let fill = match call.optional(2) {
            Some(fill) => self.single(fill),
            None => self.zero(self.dtype_of(from)),
        };
        let term = self.choose(inside, value, fill);
        Ok(self.lazy(dims, term))
    }

    /// What `Pad` adds before each axis, and the extents it makes.
    fn pad_widths(&mut self, call: &Call<'_>, old: &[Dim]) -> Result<(Vec<Dim>, Vec<Dim>)> {
        let rank = old.len();
        let pads = self.integers(call, 1)?;
        let axes = match call.optional(3) {
            Some(_) => self.integers(call, 3)?,
            None => (0..rank as i64).map(Dim::fixed).collect(),
        };
        let count = axes.len();
        let (Some(starts), Some(ends)) = (pads.get(..count), pads.get(count..2 * count)) else {
            return Err("there are too few pads".to_string());
        };
        let named = self.named(&axes, rank)?;
        let nothing = vec![Dim::fixed(0); rank];
        let (before, behind) = (named.picked(starts, &nothing), named.picked(ends, &nothing));
        let before: Vec<Dim> = before.iter().map(|pad| self.noted_signed(pad)).collect();
        let computed = old.iter().zip(&before).zip(&behind).map(|((d, b), e)| d.add(b).add(e));
        let computed = computed.collect();
        Ok((before, computed))
    }

    /// The number zero of a type.
    pub(crate) fn zero(&mut self, dtype: DType) -> TermId {
        let zero = if dtype.is_float() { Scalar::Float(0.0) } else { Scalar::Int(0) };
        self.terms.constant(dtype, zero)
    }

    /// A constant part of a position.
    pub(crate) fn number(&mut self, dim: &Dim) -> TermId {
        self.terms.add(Term::Position(Index::constant(dim.clone())))
    }

    /// Whether a position is inside an axis.
    pub(crate) fn within(&mut self, position: TermId, extent: &Dim) -> TermId {
        let (zero, end) = (self.number(&Dim::fixed(0)), self.number(extent));
        let low = self.terms.call(DType::Bool, F::Le, &[zero, position]);
        let high = self.terms.call(DType::Bool, F::Lt, &[position, end]);
        self.terms.call(DType::Bool, F::And, &[low, high])
    }

    /// A position kept inside an axis.
    pub(crate) fn clamped(&mut self, position: TermId, extent: &Dim) -> TermId {
        let (zero, last) = (self.number(&Dim::fixed(0)), self.number(&extent.plus(-1)));
        let low = self.terms.call(DType::I64, F::Max, &[position, zero]);
        let low_or_last = self.terms.call(DType::I64, F::Min, &[low, last]);
        self.terms.call(DType::I64, F::Max, &[low_or_last, zero])
    }

    /// A position that is turned back at the first and at the last element, once at each.
    fn turned_back(&mut self, position: TermId, extent: &Dim) -> Index {
        let last = self.number(&extent.plus(-1));
        let forward = self.apply(F::Abs, &[position]);
        let left = self.minus(last, forward);
        let left = self.apply(F::Abs, &[left]);
        let near = self.minus(last, left);
        let place = self.unless_within(position, extent, near);
        self.terms.as_index(place)
    }

    /// A position as it is inside an axis, another place elsewhere: schedules tell the two apart.
    fn unless_within(&mut self, position: TermId, extent: &Dim, elsewhere: TermId) -> TermId {
        let within = self.within(position, extent);
        self.choose(within, position, elsewhere)
    }

    /// Where an element of the padded axis comes from.
    fn padded(&mut self, position: TermId, extent: &Dim, mode: &str) -> Result<Index> {
        let place = match mode {
            "constant" | "edge" => self.clamped(position, extent),
            "wrap" => {
                let whole = self.number(extent);
                let wrapped = self.terms.call(DType::I64, F::Mod, &[position, whole]);
                self.unless_within(position, extent, wrapped)
            }
            "reflect" => {
                // Positions repeat after two rows less the shared ends.
                let period = self.number(&extent.plus(-1).scale(2).larger(&Dim::fixed(1)));
                let folded = self.terms.call(DType::I64, F::Mod, &[position, period]);
                let back = self.terms.call(DType::I64, F::Sub, &[period, folded]);
                let near = self.terms.call(DType::I64, F::Min, &[folded, back]);
                let near = self.clamped(near, extent);
                self.unless_within(position, extent, near)
            }
            _ => return Err(format!("pad mode `{mode}` is not known")),
        };
        Ok(self.terms.as_index(place))
    }
}

/// Whether an axis is surely longer than what reflections of it add on each side.
fn turns_once(extent: &Dim, before: &Dim, padded: &Dim) -> bool {
    let behind = padded.sub(extent).sub(before);
    let shorter = |pad: &Dim| extent.sub(pad).at_least().is_some_and(|least| least > 0);
    shorter(before) && shorter(&behind)
}

/// What a slice takes on one axis.
struct Range {
    axis: usize,
    start: Dim,
    step: Dim,
    /// How many elements.
    extent: Dim,
}

impl Range {
    fn new(axis: usize, extent: &Dim, (start, end): (&Dim, &Dim), step: i64) -> Result<Self> {
        let zero = Dim::fixed(0);
        let counted = |x: &Dim| x.add(&extent.mul(&is_negative(x)));
        let clamp = |x: &Dim, low: &Dim, high: &Dim| match x.as_fixed().zip(extent.as_fixed()) {
            // A bound beyond every possible extent needs no comparison.
            None if x.as_fixed().is_some_and(|x| x >= i64::from(i32::MAX)) => high.clone(),
            _ => x.larger(low).smaller(high),
        };
        let (start, distance) = match step {
            0 => return Err("a step is 0".to_string()),
            1.. => {
                let start = clamp(&counted(start), &zero, extent);
                let distance = clamp_end(end, extent, &counted, &clamp).sub(&start);
                (start, distance)
            }
            _ => {
                let last = extent.plus(-1);
                let far = end.as_fixed().is_some_and(|e| e <= -i64::from(i32::MAX));
                let end =
                    if far { Dim::fixed(-1) } else { counted(end).larger(&Dim::fixed(-1)).smaller(&last) };
                let start = clamp(&counted(start), &zero, &last);
                let distance = start.sub(&end);
                (start, distance)
            }
        };
        let pace = Dim::fixed(step.saturating_abs());
        let extent = distance.div_ceil(&pace).larger(&zero);
        Ok(Self { axis, start, step: Dim::fixed(step), extent })
    }
}

/// Numbers that mean "all" as the host reads them, so that sums of them fit.
fn within_reach(numbers: &[Dim]) -> Vec<Dim> {
    let near = |number: &Dim| match number.as_fixed() {
        Some(fixed) => Dim::fixed(fixed.clamp(-FAR, FAR)),
        None => number.clone(),
    };
    numbers.iter().map(near).collect()
}

fn clamp_end(
    end: &Dim,
    extent: &Dim,
    counted: &dyn Fn(&Dim) -> Dim,
    clamp: &dyn Fn(&Dim, &Dim, &Dim) -> Dim,
) -> Dim {
    if end.as_fixed().is_some_and(|e| e >= i64::from(i32::MAX)) || end == extent {
        return extent.clone();
    }
    clamp(&counted(end), &Dim::fixed(0), extent)
}

/// 1 for numbers below zero, else 0.
pub(crate) fn is_negative(x: &Dim) -> Dim {
    match x.as_fixed() {
        Some(x) => Dim::fixed(i64::from(x < 0)),
        None => x.larger(&Dim::fixed(-1)).smaller(&Dim::fixed(0)).scale(-1),
    }
}

fn sliced(old: &[Dim], ranges: &[Range]) -> Vec<Dim> {
    let mut dims = old.to_vec();
    for range in ranges {
        dims[range.axis] = range.extent.clone();
    }
    dims
}
