//! Convolutions, as matrix products over rows gathered from an image with channels last.
use super::anchor::Kind;
use super::contract::Right;
use super::formula::wide;
use super::tensor::row_major;
use super::window::Window;
use super::{Call, Handle, Lowering, Result, View, identity};
use crate::math::Function as F;
use crate::schedule::{Combine, tile};
use crate::term::{Index, Term, TermId};
use weft_ir::{DType, Dim};

/// A convolution over an image `[N, spatial.., C]` that is padded already.
pub(crate) struct Conv {
    /// The image.
    pub(crate) image: Handle,
    /// The weights' first element and strides: group, output channel in group, input channel in
    /// group, then spatial axes.
    weights: View,
    /// Extents of the kernel.
    kernel: Vec<i64>,
    /// Steps.
    strides: Vec<i64>,
    /// Distances of neighbours in the kernel.
    dilations: Vec<i64>,
    /// Groups.
    pub(crate) groups: i64,
    /// Input and output channels of one group.
    pub(crate) channels: (i64, i64),
    /// Extents of the result, `[N, spatial.., O]`.
    pub(crate) dims: Vec<Dim>,
}

impl Lowering<'_> {
    /// `Conv`.
    pub(crate) fn conv(&mut self, call: &Call<'_>) -> Result<Handle> {
        let (x, w, bias) = (call.operand(0)?, self.right_operand(call)?, call.optional(2));
        let y = match self.quantised_conv(call, (x, w), bias) {
            Some(y) => y,
            None => self.conv_last(call, (x, w), bias)?,
        };
        self.placed(call, y)
    }

    /// The convolution of an image with weights, which need not be the operands as they are, channels last.
    pub(crate) fn conv_last(
        &mut self,
        call: &Call<'_>,
        (x, w): (Handle, Handle),
        bias: Option<Handle>,
    ) -> Result<Handle> {
        let (x, w, bias) = self.wide_sides(x, w, bias);
        let conv = self.window_over(call, (x, w), None)?;
        self.convolve(&conv, bias)
    }

    /// The image of a convolution with its channels last and padded by `fill`, or by zeros, and the weights that
    /// move over it.
    pub(crate) fn window_over(
        &mut self,
        call: &Call<'_>,
        (x, w): (Handle, Handle),
        fill: Option<TermId>,
    ) -> Result<Conv> {
        let (last, dims) = (channels_are_last(call), call.dims(0)?);
        let image = self.channels_last(x, last)?;
        let spatial = dims.len() - 2;
        let shape = self.fixed_dims(w, "the weights")?;
        let window = Window::new(call, &shape[2..])?;
        let size = self.dims_of(image)[1..=spatial].to_vec();
        let pads = window.pads(call, &size);
        window.must_fit(self, call, (&size, &pads));
        let image = self.padded_image(image, &pads, fill);
        let groups = call.attrs.int("group").max(1);
        let weights = self.force(w);
        let per_group = shape[0] / groups;
        let mut strides = vec![weights.strides[0].scale(per_group)];
        strides.extend(weights.strides.iter().cloned());
        let result = if last { dims.clone() } else { to_last(&dims) };
        Ok(Conv {
            image,
            weights: View { strides, ..weights },
            kernel: window.kernel,
            strides: window.strides,
            dilations: window.dilations,
            groups,
            channels: (shape[1], per_group),
            dims: result,
        })
    }

    /// Image, weights and bias as `f32` if they are 16-bit floats.
    fn wide_sides(&mut self, x: Handle, w: Handle, bias: Option<Handle>) -> (Handle, Handle, Option<Handle>) {
        let [x, w] = [x, w].map(|side| self.cast(side, wide(self.dtype_of(side))));
        (x, w, bias.map(|bias| self.cast(bias, wide(self.dtype_of(bias)))))
    }

    /// `ConvTranspose`: without overlap one product for each place in the kernel, else a convolution
    /// of the image with zeros between its elements.
    pub(crate) fn conv_transpose(&mut self, call: &Call<'_>) -> Result<Handle> {
        let last = call.attrs.str("layout") == "nhwc";
        let dims = call.dims(0)?;
        let right = self.right_operand(call)?;
        let (x, w, bias) = self.wide_sides(call.operand(0)?, right, call.optional(2));
        let image = self.channels_last(x, last)?;
        let shape = self.fixed_dims(w, "the weights")?;
        let window = Window::new(call, &shape[2..])?;
        let groups = call.attrs.int("group").max(1);
        let result = if last { dims.clone() } else { to_last(&dims) };
        let size = self.dims_of(image);
        let mut spread = size.clone();
        let mut starts = Vec::new();
        for axis in 0..window.kernel.len() {
            let reach = Dim::fixed((window.kernel[axis] - 1) * window.dilations[axis]);
            let pad = window.transposed_pad(call, axis, &size[axis + 1], &result[axis + 1]);
            starts.push(reach.sub(&pad));
            spread[axis + 1] = result[axis + 1].add(&reach);
        }
        let zero = self.zero(self.dtype_of(image));
        let image = self.spread_image(image, &window.strides, &starts, (&spread, zero));
        let (inputs, outputs) = (shape[0] / groups, shape[1]);
        let conv = Conv {
            image,
            weights: turned(&self.force(w), inputs, &window.kernel),
            strides: vec![1; window.kernel.len()],
            kernel: window.kernel,
            dilations: window.dilations,
            groups,
            channels: (inputs, outputs),
            dims: result,
        };
        let y = self.convolve(&conv, bias)?;
        self.placed(call, y)
    }

    /// A result with its channels where the operator has them, and of its type.
    fn placed(&mut self, call: &Call<'_>, y: Handle) -> Result<Handle> {
        let y = self.channels_placed(call, y)?;
        Ok(if matches!(call.dtype(0), DType::F16 | DType::Bf16) { self.cast(y, call.dtype(0)) } else { y })
    }

    fn convolve(&mut self, conv: &Conv, bias: Option<Handle>) -> Result<Handle> {
        let dtype = self.dtype_of(conv.image);
        let (inputs, outputs) = conv.channels;
        let small = outputs == 1 || inputs * outputs < 64;
        let product = if conv.groups == 1 && matches!(dtype, DType::F32 | DType::F64) {
            self.as_product(conv)?
        } else if small || !matches!(dtype, DType::F32 | DType::F64) {
            self.as_reduction(conv)?
        } else {
            return self.by_groups(conv, bias);
        };
        let Some(bias) = bias else { return Ok(product) };
        let rank = conv.dims.len();
        let sum = self.read(product, &identity(rank));
        self.force(bias);
        let bias = self.read(bias, &[Index::axis(rank as u32 - 1)]);
        let term = self.terms.call(dtype, F::Add, &[sum, bias]);
        Ok(self.lazy(conv.dims.clone(), term))
    }

    /// One product: rows are pixels, columns output channels, the depth kernel and input channels.
    fn as_product(&mut self, conv: &Conv) -> Result<Handle> {
        let rank = conv.dims.len();
        let dtype = self.dtype_of(conv.image);
        let view = self.force(conv.image);
        let (a, depth) = self.patches(conv, &view, (0, rank as u32), (Index::fixed(0), 1));
        let cols = &conv.dims[rank - 1];
        let rows = conv.dims[..rank - 1].iter().fold(Dim::fixed(1), |p, d| p.mul(d));
        let gathered = conv.kernel.iter().any(|k| *k != 1) || conv.strides.iter().any(|s| *s != 1);
        let tile = tile(&self.machine, dtype, (&rows, cols), gathered);
        let right = self.conv_right(conv, Vec::new());
        let panels = self.panels(&right, dtype, tile)?;
        let b = self.source(panels.memory);
        let kind = Kind::product(0, depth, a, (b, Index::fixed(0)), tile);
        Ok(self.anchor(kind, dtype, conv.dims.clone()))
    }

    /// A product for each group; the result lies with channels last.
    fn by_groups(&mut self, conv: &Conv, bias: Option<Handle>) -> Result<Handle> {
        let rank = conv.dims.len();
        let dtype = self.dtype_of(conv.image);
        let view = self.force(conv.image);
        let (inputs, outputs) = conv.channels;
        // Axes: group, then those of the result with the channels of one group.
        let group = Index::axis(0).scale(&view.strides[rank - 1].scale(inputs));
        let (a, depth) = self.patches(conv, &view, (1, rank as u32 + 1), (group, 1));
        let rows = conv.dims[..rank - 1].iter().fold(Dim::fixed(1), |p, d| p.mul(d));
        let cols = Dim::fixed(outputs);
        let tile = tile(&self.machine, dtype, (&rows, &cols), true);
        let batch = vec![(Dim::fixed(conv.groups), conv.weights.strides[0].clone())];
        let right = self.conv_right(conv, batch);
        let panels = self.panels(&right, dtype, tile)?;
        let b = self.source(panels.memory);
        let start = Index::axis(0).scale(&panels.strides[0]);
        let mut dims = vec![Dim::fixed(conv.groups)];
        dims.extend(conv.dims.iter().cloned());
        dims[rank] = cols;
        let kind = Kind::product(1, depth, a, (b, start), tile);
        let product = self.anchor(kind, dtype, dims.clone());
        let mut term = self.read(product, &identity(rank + 1));
        if let Some(bias) = bias {
            self.force(bias);
            let channel = Index::axis(0).scale(&Dim::fixed(outputs)).add(&Index::axis(rank as u32));
            let bias = self.read(bias, &[channel]);
            term = self.terms.call(dtype, F::Add, &[term, bias]);
        }
        let product = self.lazy(dims, term);
        let whole = self.allocate(dtype, &conv.dims, "groups");
        let mut strides = vec![Dim::fixed(outputs)];
        strides.extend(row_major(&conv.dims));
        self.force_into(product, Some(View { strides, ..whole.clone() }), "conv");
        Ok(self.view(dtype, conv.dims.clone(), whole))
    }

    /// The generic form, which suits depthwise convolutions with channels last.
    fn as_reduction(&mut self, conv: &Conv) -> Result<Handle> {
        let rank = conv.dims.len() as u32;
        let dtype = self.dtype_of(conv.image);
        let (inputs, outputs) = conv.channels;
        let channel = Index::axis(rank - 1);
        let group = if outputs == 1 {
            channel.clone()
        } else {
            let position = self.terms.add(Term::Position(channel.clone()));
            let per = self.number(&Dim::fixed(outputs));
            let group = self.terms.call(DType::I64, F::FloorDiv, &[position, per]);
            self.terms.as_index(group)
        };
        let view = self.force(conv.image);
        let first = group.scale(&view.strides[rank as usize - 1].scale(inputs));
        let (x, inner) = self.patches(conv, &view, (0, rank), (first, 1));
        let strides = &conv.weights.strides;
        // Where output channels of all groups lie in one row, they are counted through.
        let one_row = outputs == 1 || strides[0] == strides[1].scale(outputs);
        let step = if outputs == 1 { &strides[0] } else { &strides[1] };
        let own = channel.add(&group.scale(&Dim::fixed(-outputs)));
        let place =
            if one_row { channel.scale(step) } else { group.scale(&strides[0]).add(&own.scale(&strides[1])) };
        let mut at = Index::constant(conv.weights.offset.clone()).add(&place);
        for (i, stride) in strides[3..].iter().chain([&strides[2]]).enumerate() {
            at = at.add(&Index::axis(rank + i as u32).scale(stride));
        }
        let w = if one_row {
            self.conv_weights(conv, dtype, at)
        } else {
            let load = Term::Load(self.source(conv.weights.memory), dtype, at);
            self.terms.add(load)
        };
        let input = self.terms.call(dtype, F::Mul, &[x, w]);
        if inner.iter().all(|extent| extent.as_fixed() == Some(1)) {
            // One product is no sum: it is computed wherever it is used.
            let alone = |axis| if axis < rank { Index::axis(axis) } else { Index::fixed(0) };
            let product = self.terms.at(input, &alone);
            return Ok(self.lazy(conv.dims.clone(), product));
        }
        Ok(self.anchor(Kind::Reduce { inner, input, combine: Combine::Sum }, dtype, conv.dims.clone()))
    }

    /// The weight at a place, from a copy with output channels innermost.
    fn conv_weights(&mut self, conv: &Conv, dtype: DType, at: Index) -> TermId {
        let rank = conv.dims.len() as u32;
        let total = conv.groups * conv.channels.1;
        let mut extents: Vec<i64> = conv.kernel.clone();
        extents.extend([conv.channels.0, total]);
        let dims: Vec<Dim> = extents.iter().map(|e| Dim::fixed(*e)).collect();
        let strides = row_major(&dims);
        // `at` over the axes of the copy: kernel, input channel, output channel.
        let moved = at.substitute(&|axis| {
            if axis == rank - 1 { Index::axis(dims.len() as u32 - 1) } else { Index::axis(axis - rank) }
        });
        let load = Term::Load(self.source(conv.weights.memory), dtype, moved);
        let term = self.terms.add(load);
        let copy = self.transposed_constant(term, dims, dtype);
        let mut place = Index::axis(rank - 1);
        for (i, stride) in strides[..strides.len() - 1].iter().enumerate() {
            place = place.add(&Index::axis(rank + i as u32).scale(stride));
        }
        let load = Term::Load(self.source(copy.memory), dtype, place.plus(&copy.offset));
        self.terms.add(load)
    }

    /// A term over constant data computed when the artifact is written, or at run time if it is not
    /// constant.
    fn transposed_constant(&mut self, term: TermId, dims: Vec<Dim>, dtype: DType) -> View {
        if let Some((source, index)) = self.terms.loads(term).first().cloned() {
            let axes = |i: usize| index.factor(i as u32);
            let depth: Vec<_> = dims.iter().cloned().enumerate().map(|(i, d)| (d, axes(i))).collect();
            if let Some(((col, stride), depth)) = depth.split_last() {
                let right = Right {
                    memory: self.sources[source.0 as usize],
                    offset: index.base().clone(),
                    batch: Vec::new(),
                    depth: depth.to_vec(),
                    col: (col.clone(), stride.clone()),
                };
                if let Some(memory) = self.packed_rows(&right, dtype) {
                    return View::whole(memory, &dims);
                }
            }
        }
        let lazy = self.lazy(dims, term);
        self.force_into(lazy, None, "weights")
    }

    /// Loads of the image at kernel position and input channel, over the axes of the result from
    /// `first` on and depth axes from `inner` on, `unit` input channels a step; with the extents of the depth axes.
    pub(crate) fn patches(
        &mut self,
        conv: &Conv,
        view: &View,
        (first, inner): (u32, u32),
        (start, unit): (Index, i64),
    ) -> (TermId, Vec<Dim>) {
        let spatial = conv.kernel.len();
        let mut at =
            Index::constant(view.offset.clone()).add(&start).add(&Index::axis(first).scale(&view.strides[0]));
        let mut depth = Vec::new();
        for axis in 0..spatial {
            let stride = &view.strides[axis + 1];
            at = at.add(&Index::axis(first + 1 + axis as u32).scale(&stride.scale(conv.strides[axis])));
            at = at.add(&Index::axis(inner + axis as u32).scale(&stride.scale(conv.dilations[axis])));
            depth.push(Dim::fixed(conv.kernel[axis]));
        }
        at = at.add(&Index::axis(inner + spatial as u32).scale(&view.strides[spatial + 1].scale(unit)));
        depth.push(Dim::fixed((conv.channels.0 as u64).div_ceil(unit as u64) as i64));
        let load = Term::Load(self.source(view.memory), self.dtype_of(conv.image), at);
        (self.terms.add(load), depth)
    }

    /// The weights as the right-hand side of a product, whose depth is kernel and input channels.
    pub(crate) fn conv_right(&self, conv: &Conv, batch: Vec<(Dim, Dim)>) -> Right {
        let strides = conv.weights.strides[3..].iter().chain([&conv.weights.strides[2]]).cloned();
        let extents = conv.kernel.iter().chain([&conv.channels.0]).map(|extent| Dim::fixed(*extent));
        Right {
            memory: conv.weights.memory,
            offset: conv.weights.offset.clone(),
            batch,
            depth: extents.zip(strides).collect(),
            col: (Dim::fixed(conv.channels.1), conv.weights.strides[1].clone()),
        }
    }

    /// Extents that must be numbers.
    pub(crate) fn fixed_dims(&self, handle: Handle, what: &str) -> Result<Vec<i64>> {
        let dims = self.dims_of(handle);
        dims.iter()
            .map(Dim::as_fixed)
            .collect::<Option<_>>()
            .ok_or_else(|| format!("the extents of {what} are known only at run time"))
    }

    /// An image as `[N, spatial.., C]`.
    pub(crate) fn channels_last(&mut self, image: Handle, already: bool) -> Result<Handle> {
        if already {
            return Ok(image);
        }
        let rank = self.dims_of(image).len();
        let perm: Vec<usize> = std::iter::once(0).chain(2..rank).chain([1]).collect();
        self.permuted(image, &perm)
    }

    /// An image as `[N, C, spatial..]`.
    pub(crate) fn channels_first(&mut self, image: Handle) -> Result<Handle> {
        let rank = self.dims_of(image).len();
        let perm: Vec<usize> = [0, rank - 1].into_iter().chain(1..rank - 1).collect();
        self.permuted(image, &perm)
    }
}

/// Whether the operator says that its channels come last.
pub(crate) fn channels_are_last(call: &Call<'_>) -> bool {
    call.attrs.def.attr("layout").is_some() && call.attrs.str("layout") == "nhwc"
}

/// `[N, C, spatial..]` as `[N, spatial.., C]`.
fn to_last(dims: &[Dim]) -> Vec<Dim> {
    std::iter::once(&dims[0]).chain(&dims[2..]).chain([&dims[1]]).cloned().collect()
}

/// The weights of a `ConvTranspose` as those of a convolution: input channels, so many in a group, come first there,
/// and the kernel is turned around.
fn turned(weights: &View, inputs: i64, kernel: &[i64]) -> View {
    let mut strides =
        vec![weights.strides[0].scale(inputs), weights.strides[1].clone(), weights.strides[0].clone()];
    let mut offset = weights.offset.clone();
    for (axis, extent) in kernel.iter().enumerate() {
        offset = offset.add(&weights.strides[axis + 2].scale(extent - 1));
        strides.push(weights.strides[axis + 2].scale(-1));
    }
    View { memory: weights.memory, offset, strides }
}
