//! Quantisation: numbers of few bits with scales and zero points.
use super::formula::wide;
use super::movement::place;
use super::{Call, Handle, Lowering, Result, identity};
use crate::math::Function as F;
use crate::schedule::Combine;
use crate::term::{Index, TermId};
use weft_ir::types::Kind;
use weft_ir::{DType, Dim};

const F32: DType = DType::F32;

/// Which operand of a product a scale or zero point belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The left-hand one.
    Rows,
    /// The right-hand one.
    Columns,
}

impl Lowering<'_> {
    /// Lowers quantisation and products of quantised numbers.
    pub(crate) fn quantisation(&mut self, call: &Call<'_>) -> Option<Result<Vec<Handle>>> {
        let one = |result: Result<Handle>| result.map(|h| vec![h]);
        Some(match call.op() {
            "QuantizeLinear" => one(self.quantize(call)),
            "DequantizeLinear" => one(self.dequantize(call)),
            "DynamicQuantizeLinear" => self.dynamic_quantize(call),
            "MatMulInteger" => one(self.matmul_integer(call)),
            "QLinearMatMul" => one(self.qlinear_matmul(call)),
            "ConvInteger" => one(self.conv_integer(call)),
            "QLinearConv" => one(self.qlinear_conv(call)),
            _ => return None,
        })
    }

    /// The scale or zero point of the element at the place of the result: single, per index of the axis,
    /// or per block.
    fn granular(&mut self, call: &Call<'_>, values: Handle, dims: &[Dim]) -> Result<TermId> {
        let own = self.dims_of(values);
        if Self::elements(&own).as_fixed() == Some(1) {
            return Ok(self.single(values));
        }
        self.force(values);
        let axis = place(call.attrs.int("axis"), dims.len())?;
        if own.len() == 1 && call.attrs.int("block_size") == 0 {
            return Ok(self.read(values, &[Index::axis(axis as u32)]));
        }
        let mut at = identity(dims.len());
        at[axis] = self.quotient(Index::axis(axis as u32), &Dim::fixed(call.attrs.int("block_size").max(1)));
        Ok(self.read(values, &at))
    }

    /// The one element of a tensor.
    pub(crate) fn single(&mut self, handle: Handle) -> TermId {
        let rank = self.dims_of(handle).len();
        self.force(handle);
        self.read(handle, &vec![Index::fixed(0); rank])
    }

    fn quantize(&mut self, call: &Call<'_>) -> Result<Handle> {
        let (x, dims) = (call.operand(0)?, call.dims(0)?);
        let scale = self.granular(call, call.operand(1)?, &dims)?;
        let from = (self.dtype_of(x), self.terms.dtype(scale));
        let double = from.0 == DType::F64 || from.1 == DType::F64;
        let dtype = if double || matches!(from.0, DType::I32) { DType::F64 } else { F32 };
        let precision = call.attrs.dtype("precision").unwrap_or(from.1);
        let x = self.here(x);
        let (x, scale) = (self.cast_term(x, dtype), self.cast_term(scale, dtype));
        let quotient = self.over(x, scale);
        let rounded = self.cast_term(quotient, precision);
        let quotient = self.cast_term(rounded, dtype);
        let whole = self.apply(F::Round, &[quotient]);
        let moved = match call.optional(2) {
            Some(zero) => {
                let zero = self.granular(call, zero, &dims)?;
                let zero = self.cast_term(zero, dtype);
                self.plus(whole, zero)
            }
            None if call.dtype(0).is_int() => whole,
            // Floats of few bits have a zero with sign.
            None => {
                let zero = self.zero(dtype);
                self.plus(whole, zero)
            }
        };
        let term = self.cut(moved, call.dtype(0));
        Ok(self.lazy(dims, term))
    }

    fn dequantize(&mut self, call: &Call<'_>) -> Result<Handle> {
        if let Some(filter) = self.decoded_filter(call) {
            return Ok(filter);
        }
        let (x, dims, to) = (self.whole_bytes(call, 0)?, call.dims(0)?, call.dtype(0));
        let scale = self.granular(call, call.operand(1)?, &dims)?;
        let product = if to == DType::F64 { to } else { F32 };
        // The difference of 32-bit integers needs more than an `f32` holds.
        let exact = if self.dtype_of(x).bits() > 16 { DType::F64 } else { product };
        let x = self.here(x);
        let mut x = self.cast_term(x, exact);
        if call.optional(2).is_some() {
            let zero = self.whole_bytes(call, 2)?;
            let zero = self.granular(call, zero, &dims)?;
            let zero = self.cast_term(zero, exact);
            x = self.minus(x, zero);
        }
        let (x, scale) = (self.cast_term(x, product), self.cast_term(scale, product));
        let value = self.times(x, scale);
        let term = self.cast_term(value, to);
        let number = self.lazy(dims, term);
        if let Some(matrix) = super::coded::Matrix::of(call) {
            self.matrices.insert(number, matrix);
        }
        if let Some(matrices) = super::beside::Matrices::of(call) {
            self.beside.insert(number, matrices);
        }
        if let Some(quantised) = self.quantised_by(call) {
            self.quantised.insert(number, quantised);
        }
        if let Some(kernel) = self.kernel_by(call) {
            self.kernels.insert(number, kernel);
        }
        Ok(number)
    }

    fn dynamic_quantize(&mut self, call: &Call<'_>) -> Result<Vec<Handle>> {
        let (x, dims) = (call.operand(0)?, call.dims(0)?);
        let axes: Vec<usize> = (0..dims.len()).collect();
        self.force(x);
        let element = self.here(x);
        let mut ends = Vec::new();
        for (combine, f) in [(Combine::Max, F::Max), (Combine::Min, F::Min)] {
            let end = self.combined(x, element, &axes, combine)?;
            self.force(end);
            let end = self.reshaped(end, &[]);
            let (end, zero) = (self.here(end), self.zero(F32));
            ends.push(self.apply(f, &[end, zero]));
        }
        let (high, low) = (ends[0], ends[1]);
        let (width, bytes, one) = (self.minus(high, low), self.value(F32, 255.0), self.value(F32, 1.0));
        let (scale, flat) = (self.over(width, bytes), self.test(F::Eq, high, low));
        let scale = self.choose(flat, one, scale);
        let scale = self.lazy(Vec::new(), scale);
        self.force(scale);
        let step = self.here(scale);
        let minus = self.apply(F::Neg, &[low]);
        let ratio = self.over(minus, step);
        let ratio = self.clipped(ratio, 0.0, 255.0);
        let zero = self.apply(F::Round, &[ratio]);
        let zero = self.cast_term(zero, DType::U8);
        let zero = self.lazy(Vec::new(), zero);
        self.force(zero);
        let (step, origin) = (self.read(scale, &[]), self.read(zero, &[]));
        let origin = self.cast_term(origin, F32);
        let ratio = self.over(element, step);
        let whole = self.apply(F::Round, &[ratio]);
        let moved = self.plus(whole, origin);
        let y = self.cut(moved, DType::U8);
        Ok(vec![self.lazy(dims, y), scale, zero])
    }

    /// A float kept between two numbers.
    pub(crate) fn clipped(&mut self, x: TermId, low: f64, high: f64) -> TermId {
        let dtype = self.terms.dtype(x);
        let (low, high) = (self.value(dtype, low), self.value(dtype, high));
        let x = self.apply(F::Max, &[x, low]);
        self.apply(F::Min, &[x, high])
    }

    /// A scale or zero point at the place of a product: a vector is one number per row or per column.
    pub(crate) fn aligned(&mut self, values: Handle, side: Side, dims: &[Dim]) -> TermId {
        let own = self.dims_of(values);
        if Self::elements(&own).as_fixed() == Some(1) {
            return self.single(values);
        }
        self.force(values);
        match own.as_slice() {
            [_] if side == Side::Rows && dims.len() > 1 => {
                self.read(values, &[Index::axis(dims.len() as u32 - 2)])
            }
            _ => self.spread(values, dims),
        }
    }

    /// A quantised operand less its zero point, as `i32` in memory.
    fn centred(&mut self, x: Handle, zero: Option<Handle>, side: Side) -> Handle {
        let dims = self.dims_of(x);
        self.force(x);
        let term = self.here(x);
        let mut term = self.cast_term(term, DType::I32);
        if let Some(zero) = zero {
            let zero = self.aligned(zero, side, &dims);
            let zero = self.cast_term(zero, DType::I32);
            term = self.minus(term, zero);
        }
        let centred = self.lazy(dims, term);
        self.settled(centred)
    }

    /// The product of operands less their zero points, with the extents of the result.
    fn centred_product(
        &mut self,
        call: &Call<'_>,
        (a, a_zero): (Handle, Option<Handle>),
        (b, b_zero): (Handle, Option<Handle>),
    ) -> Result<Handle> {
        let product = match self.byte_product((a, a_zero), (b, b_zero)) {
            Some(product) => product,
            None => {
                let (a, b) = (self.centred(a, a_zero, Side::Rows), self.centred(b, b_zero, Side::Columns));
                self.product(a, b)?
            }
        };
        let dims = call.dims(0)?;
        Ok(if self.dims_of(product).len() == dims.len() { product } else { self.reshaped(product, &dims) })
    }

    fn matmul_integer(&mut self, call: &Call<'_>) -> Result<Handle> {
        let (a, b) = (call.operand(0)?, call.operand(1)?);
        self.centred_product(call, (a, call.optional(2)), (b, call.optional(3)))
    }

    fn qlinear_matmul(&mut self, call: &Call<'_>) -> Result<Handle> {
        let (a, b) = ((call.operand(0)?, call.optional(2)), (call.operand(3)?, call.optional(5)));
        let (product, dims) = (self.centred_product(call, a, b)?, call.dims(0)?);
        let mut scales = Vec::new();
        for (operand, side) in [(1, Side::Rows), (4, Side::Columns), (6, Side::Rows)] {
            let scale = self.aligned(call.operand(operand)?, side, &dims);
            scales.push(self.cast_term(scale, DType::F64));
        }
        let both = self.times(scales[0], scales[1]);
        let scale = self.over(both, scales[2]);
        let zero = self.aligned(call.operand(7)?, Side::Rows, &dims);
        let sum = self.here(product);
        let sum = self.cast_term(sum, DType::F64);
        let scaled = self.times(sum, scale);
        Ok(self.requantised(call, scaled, zero, dims))
    }

    /// A scaled sum rounded and moved by a zero point.
    fn requantised(&mut self, call: &Call<'_>, scaled: TermId, zero: TermId, dims: Vec<Dim>) -> Handle {
        let (whole, zero) = (self.apply(F::Round, &[scaled]), self.cast_term(zero, self.terms.dtype(scaled)));
        let moved = self.plus(whole, zero);
        let term = self.cut(moved, call.dtype(0));
        self.lazy(dims, term)
    }

    /// A quantised image or weights less the zero point, which for weights may be one per output channel.
    fn centred_image(&mut self, x: Handle, zero: Option<Handle>) -> Handle {
        let column = zero.map(|zero| {
            let rank = self.dims_of(x).len();
            let mut dims = vec![Dim::fixed(1); rank];
            dims[0] = self.dims_of(zero).first().cloned().unwrap_or_else(|| Dim::fixed(1));
            self.reshaped(zero, &dims)
        });
        self.centred(x, column, Side::Columns)
    }

    fn conv_integer(&mut self, call: &Call<'_>) -> Result<Handle> {
        let (x, w) = ((call.operand(0)?, call.optional(2)), (call.operand(1)?, call.optional(3)));
        let y = self.centred_conv(call, x, w)?;
        self.channels_placed(call, y)
    }

    /// The convolution of operands less their zero points, channels last.
    fn centred_conv(
        &mut self,
        call: &Call<'_>,
        x: (Handle, Option<Handle>),
        w: (Handle, Option<Handle>),
    ) -> Result<Handle> {
        if let Some(sum) = self.byte_conv(call, x, w) {
            return Ok(sum);
        }
        let (x, w) = (self.centred_image(x.0, x.1), self.centred_image(w.0, w.1));
        self.conv_last(call, (x, w), None)
    }

    fn qlinear_conv(&mut self, call: &Call<'_>) -> Result<Handle> {
        let (x, w) = ((call.operand(0)?, call.optional(2)), (call.operand(3)?, call.optional(5)));
        let y = self.centred_conv(call, x, w)?;
        let dims = self.dims_of(y);
        let mut sum = self.here(y);
        if let Some(bias) = call.optional(8) {
            let bias = self.of_channel(bias, dims.len());
            sum = self.plus(sum, bias);
        }
        let mut scales = Vec::new();
        for operand in [1, 4, 6] {
            let scale = self.of_channel(call.operand(operand)?, dims.len());
            scales.push(self.cast_term(scale, F32));
        }
        let both = self.times(scales[0], scales[1]);
        let (scale, zero) = (self.over(both, scales[2]), self.single(call.operand(7)?));
        let sum = self.cast_term(sum, F32);
        let scaled = self.times(sum, scale);
        let y = self.requantised(call, scaled, zero, dims);
        self.force(y);
        self.channels_placed(call, y)
    }
}

/// Elements that kernels compute on: whole bytes, numbers or truth values.
pub(crate) fn is_plain(dtype: DType) -> bool {
    match dtype.kind() {
        Kind::Signed | Kind::Unsigned => dtype.bits() >= 8,
        Kind::Bool => true,
        _ => matches!(wide(dtype), DType::F32 | DType::F64),
    }
}
