//! What only a run finds out: extents that depend on data.
use super::named::either;
use super::slice::is_negative;
use super::{Call, Lowering, Result};
use crate::math::Function as F;
use crate::program::Step;
use weft_ir::{Attr, DType, Dim};

impl Lowering<'_> {
    /// Gives the symbols of a result their values, where this node decides them.
    pub(crate) fn define_extents(&mut self, dims: &[Dim], computed: &[Dim]) {
        for (dim, value) in dims.iter().zip(computed) {
            let Some(name) = dim.as_symbol() else { continue };
            if self.is_decided(name) {
                continue;
            }
            let symbol = self.symbol(name);
            self.provisional.remove(name);
            self.step(Step::Set { symbol, value: value.clone() });
            if value.symbols().iter().all(|s| self.bound.contains(&**s)) {
                self.early(name, value);
            }
        }
    }

    /// A symbol that follows from the inputs' extents may size planned buffers, by what it stands for,
    /// as memory is planned before the first step; its `Set` moves to the start of the run. Where that
    /// grows too large to be written, it stays what it is: decided at run time.
    fn early(&mut self, name: &str, value: &Dim) {
        let value = value.substitute(&|symbol| self.follows.get(symbol).cloned());
        if value.is_unknown() {
            return;
        }
        self.bound.insert(name.to_string());
        self.follows.insert(name.to_string(), value);
        if let Some(step) = self.steps.last_mut().and_then(Vec::pop) {
            self.prologue.push(step);
        }
    }

    /// The extents that a run gives the first result, where its type leaves them open.
    pub(crate) fn define_symbols(&mut self, call: &Call<'_>) -> Result<()> {
        let dims = call.dims(0)?;
        let open = |d: &Dim| d.as_symbol().is_some_and(|s| !self.is_decided(s));
        if !dims.iter().any(open) {
            return Ok(());
        }
        let computed = match call.op() {
            "Reshape" => self.reshape_extents(call)?,
            "ConstantOfShape" => self.sizes(call, 0)?,
            "Expand" => {
                let shape = self.sizes(call, 1)?;
                let from = self.dims_of(call.operand(0)?);
                self.joined(&[from, shape], dims.len())
            }
            "Tile" => {
                let repeats = self.sizes(call, 1)?;
                self.dims_of(call.operand(0)?).iter().zip(&repeats).map(|(d, r)| d.mul(r)).collect()
            }
            "Range" => vec![self.range_extent(call)?],
            "Squeeze" => self.squeezed_extents(call, dims.len())?,
            "Unsqueeze" => self.unsqueezed_extents(call, dims.len())?,
            _ => {
                let shapes: Vec<Vec<Dim>> =
                    call.operands.iter().flatten().map(|h| self.dims_of(*h)).collect();
                self.joined(&shapes, dims.len())
            }
        };
        self.define_extents(&dims, &computed);
        Ok(())
    }

    /// The extents shapes broadcast to; the run fails where two differ and neither is 1.
    fn joined(&mut self, shapes: &[Vec<Dim>], rank: usize) -> Vec<Dim> {
        let one = Dim::fixed(1);
        let mut result = vec![one.clone(); rank];
        for shape in shapes.iter().filter(|shape| shape.len() <= rank) {
            let skip = rank - shape.len();
            for (axis, dim) in shape.iter().enumerate() {
                let before = &result[axis + skip];
                if before == dim || dim.as_fixed() == Some(1) {
                    continue;
                }
                if before.as_fixed() != Some(1) {
                    // Equal, or one of them is 1: then one of three factors is zero.
                    let left = before.sub(dim).mul(&before.plus(-1)).mul(&dim.plus(-1));
                    let message = "extents do not broadcast".to_string();
                    self.step(Step::Check { left, right: Dim::fixed(0), at_least: false, message });
                }
                let larger = if before.as_fixed() == Some(1) { dim.clone() } else { before.larger(dim) };
                result[axis + skip] = self.noted(larger);
            }
        }
        result
    }

    /// `Reshape`: 0 keeps the old extent, -1 takes what is left.
    fn reshape_extents(&mut self, call: &Call<'_>) -> Result<Vec<Dim>> {
        let (old, wanted) = (self.dims_of(call.operand(0)?), self.integers(call, 1)?);
        let one = Dim::fixed(1);
        let wanted: Vec<Dim> = wanted.iter().map(|w| self.noted_signed(w)).collect();
        let total = old.iter().fold(one.clone(), |p, d| self.noted(p.mul(d)));
        let keep = !call.attrs.flag("allowzero");
        let with_zero = |(i, w): (usize, &Dim)| match old.get(i) {
            Some(dim) if keep => w.add(&dim.mul(&one.sub(&w.larger(&w.scale(-1)).smaller(&one)))),
            _ => w.clone(),
        };
        let plain: Vec<Dim> = wanted.iter().enumerate().map(with_zero).collect();
        // Each with 1 for -1, of which there is one at most: the product is what that one divides by.
        let open: Vec<Dim> = plain.iter().map(|p| self.noted(is_negative(p))).collect();
        let given: Vec<Dim> = plain.iter().zip(&open).map(|(p, o)| self.noted(either(o, &one, p))).collect();
        let others = given.iter().fold(one.clone(), |p, d| self.noted(p.mul(d)));
        let rest = self.noted(total.div_floor(&others.larger(&one)));
        let extents = open.iter().zip(&given).map(|(open, given)| either(open, &rest, given));
        let extents: Vec<Dim> = extents.map(|extent| self.noted(extent)).collect();
        let left = extents.iter().fold(one, |p, d| self.noted(p.mul(d)));
        let message = "the result of `Reshape` has other elements than its operand".to_string();
        self.step(Step::Check { left, right: total, at_least: false, message });
        Ok(extents)
    }

    /// `Squeeze` with axes that only the run knows, which must have extent 1.
    fn squeezed_extents(&mut self, call: &Call<'_>, rank: usize) -> Result<Vec<Dim>> {
        let (old, axes) = (self.dims_of(call.operand(0)?), self.integers(call, 1)?);
        let flags = self.named(&axes, old.len())?.flags();
        for (axis, (dim, flag)) in old.iter().zip(&flags).enumerate() {
            let message = format!("axis {axis} is squeezed");
            let (left, right) = (dim.mul(flag), flag.clone());
            self.step(Step::Check { left, right, at_least: false, message });
        }
        Ok(self.left_over(&old, &flags, rank))
    }

    /// `Unsqueeze` with axes that only the run knows.
    fn unsqueezed_extents(&mut self, call: &Call<'_>, rank: usize) -> Result<Vec<Dim>> {
        let (old, axes) = (self.dims_of(call.operand(0)?), self.integers(call, 1)?);
        let flags = self.named(&axes, rank)?.flags();
        Ok(self.spread_out(&old, &flags))
    }

    fn range_extent(&mut self, call: &Call<'_>) -> Result<Dim> {
        let known: Option<Vec<Dim>> =
            (0..3).filter_map(|i| known_integers(call, i)).flatten().map(Some).collect();
        let zero = Dim::fixed(0);
        if let Some([start, limit, step]) = known.as_deref() {
            match step.as_fixed() {
                Some(1..) => return Ok(limit.sub(start).div_ceil(step).larger(&zero)),
                Some(..=-1) => return Ok(start.sub(limit).div_ceil(&step.scale(-1)).larger(&zero)),
                _ => {}
            }
        }
        let mut ends = Vec::new();
        for operand in 0..3 {
            let end = self.single(call.operand(operand)?);
            ends.push(self.cast_term(end, DType::F64));
        }
        let distance = self.minus(ends[1], ends[0]);
        let steps = self.over(distance, ends[2]);
        let whole = self.apply(F::Ceil, &[steps]);
        let whole = self.clipped(whole, 0.0, 1e12);
        self.measured_term(whole)
    }
}

/// The elements of an integer operand, as far as the graph shows them.
pub(crate) fn known_integers(call: &Call<'_>, operand: usize) -> Option<Vec<Dim>> {
    let value = call.graph.operand(call.id, operand)?;
    if let Some(tensor) = call.graph.constant(value) {
        return Some(tensor.to_i64s()?.into_iter().map(Dim::fixed).collect());
    }
    let node = call.graph.node(value.node);
    match node.attrs.get("value") {
        Some(Attr::Dims(dims)) if node.op == "weft.Extents" => Some(dims.clone()),
        _ => None,
    }
}
