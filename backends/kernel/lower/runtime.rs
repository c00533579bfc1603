//! What only a run finds out: integers read from tensors, extents that depend on data, operators
//! that the runtime computes.
use super::slice::is_negative;
use super::{Call, Handle, Lowering, Result, View};
use crate::program::Step;
use weft_ir::{Attr, DType, Dim};

impl Lowering<'_> {
    /// Lowers an operator that the runtime computes.
    pub(crate) fn runtime(&mut self, _call: &Call<'_>) -> Option<Result<Vec<Handle>>> {
        None
    }

    /// The elements of an integer operand: known now, or read at run time into symbols of their own.
    pub(crate) fn integers(&mut self, call: &Call<'_>, operand: usize) -> Result<Vec<Dim>> {
        let handle = call.operand(operand)?;
        if let Some(known) = known_integers(call, operand) {
            return Ok(known);
        }
        let (dtype, dims) = (self.dtype_of(handle), self.dims_of(handle));
        if !matches!(dtype, DType::I64 | DType::I32) || dims.len() > 1 {
            return Err(format!("operand {operand} is no vector of `i64` or `i32`"));
        }
        let count = dims.first().map_or(Some(1), Dim::as_fixed);
        let count =
            count.ok_or_else(|| format!("the length of operand {operand} is known only at run time"))?;
        let View { memory, offset, strides } = self.force(handle);
        let (start, stride) = (offset.as_fixed(), strides.first().map_or(Some(1), Dim::as_fixed));
        let (start, stride) =
            start.zip(stride).ok_or("an integer operand lies at an address known only at run time")?;
        let mut numbers = Vec::new();
        for i in 0..count {
            let name = format!("?read{}", self.program.symbols.len());
            let symbol = self.symbol(&name);
            self.step(Step::Read { symbol, from: memory, dtype, index: start + i * stride });
            numbers.push(Dim::symbol(&name));
        }
        Ok(numbers)
    }

    /// Gives the symbols of a result their values, where this node decides them.
    pub(crate) fn define_extents(&mut self, dims: &[Dim], computed: &[Dim]) {
        for (dim, value) in dims.iter().zip(computed) {
            let Some(name) = dim.as_symbol() else { continue };
            if self.program.symbols.iter().any(|s| s == name) {
                continue;
            }
            let symbol = self.symbol(name);
            self.step(Step::Set { symbol, value: value.clone() });
            if value.symbols().iter().all(|s| self.bound.contains(&**s)) {
                self.early(name, value);
            }
        }
    }

    /// A symbol that follows from the inputs' extents may size planned buffers, by what it stands for,
    /// as memory is planned before the first step; its `Set` moves to the start of the run.
    fn early(&mut self, name: &str, value: &Dim) {
        self.bound.insert(name.to_string());
        let value = value.substitute(&|symbol| self.follows.get(symbol).cloned());
        self.follows.insert(name.to_string(), value);
        if let Some(step) = self.steps.last_mut().and_then(Vec::pop) {
            self.prologue.push(step);
        }
    }

    /// The extents that a run gives the first result, where its type leaves them open.
    pub(crate) fn define_symbols(&mut self, call: &Call<'_>) -> Result<()> {
        let dims = call.dims(0)?;
        let open =
            |d: &Dim| d.as_symbol().is_some_and(|s| !self.program.symbols.iter().any(|known| known == s));
        if !dims.iter().any(open) {
            return Ok(());
        }
        let computed = match call.op() {
            "Reshape" => self.reshape_extents(call)?,
            "ConstantOfShape" => self.integers(call, 0)?,
            "Expand" => {
                let shape = self.integers(call, 1)?;
                let from = self.dims_of(call.operand(0)?);
                self.joined(&[from, shape], dims.len())
            }
            "Tile" => {
                let repeats = self.integers(call, 1)?;
                self.dims_of(call.operand(0)?).iter().zip(&repeats).map(|(d, r)| d.mul(r)).collect()
            }
            "Range" => vec![self.range_extent(call)?],
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
        for shape in shapes {
            let skip = rank - shape.len().min(rank);
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
                result[axis + skip] =
                    if before.as_fixed() == Some(1) { dim.clone() } else { before.larger(dim) };
            }
        }
        result
    }

    /// `Reshape`: 0 keeps the old extent, -1 takes what is left.
    fn reshape_extents(&mut self, call: &Call<'_>) -> Result<Vec<Dim>> {
        let (old, wanted) = (self.dims_of(call.operand(0)?), self.integers(call, 1)?);
        let one = Dim::fixed(1);
        let total = old.iter().fold(one.clone(), |p, d| p.mul(d));
        let keep = !call.attrs.flag("allowzero");
        let with_zero = |(i, w): (usize, &Dim)| match old.get(i) {
            Some(dim) if keep => w.add(&dim.mul(&one.sub(&w.larger(&w.scale(-1)).smaller(&one)))),
            _ => w.clone(),
        };
        let plain: Vec<Dim> = wanted.iter().enumerate().map(with_zero).collect();
        let rest = |i: usize| {
            plain.iter().enumerate().filter(|(j, _)| *j != i).fold(one.clone(), |p, (_, d)| p.mul(d))
        };
        let extent = |(i, p): (usize, &Dim)| {
            let open = is_negative(p);
            p.mul(&one.sub(&open)).add(&open.mul(&total.div_floor(&rest(i).larger(&one))))
        };
        Ok(plain.iter().enumerate().map(extent).collect())
    }

    fn range_extent(&mut self, call: &Call<'_>) -> Result<Dim> {
        let mut ends = Vec::new();
        for operand in 0..3 {
            ends.extend(self.integers(call, operand)?);
        }
        let [start, limit, step] = ends.as_slice() else {
            return Err("the bounds are no scalars".to_string());
        };
        let zero = Dim::fixed(0);
        match step.as_fixed() {
            Some(1..) => Ok(limit.sub(start).div_ceil(step).larger(&zero)),
            Some(..=-1) => Ok(start.sub(limit).div_ceil(&step.scale(-1)).larger(&zero)),
            _ => Err("the step is known only at run time".to_string()),
        }
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
