//! Windows that move over images, and the padding that they need.
use super::{Call, Lowering, Result};
use weft_ir::Dim;

/// Kernel, steps and dilations of a window that moves over an image.
pub(crate) struct Window {
    pub(crate) kernel: Vec<i64>,
    pub(crate) strides: Vec<i64>,
    pub(crate) dilations: Vec<i64>,
}

impl Window {
    /// From the attributes of a node.
    pub(crate) fn new(call: &Call<'_>, kernel: &[i64]) -> Result<Self> {
        let list = |name: &str| match call.attrs.def.attrs.iter().any(|a| a.name == name) {
            true => call.attrs.ints_opt(name).map_or_else(|| vec![1; kernel.len()], <[i64]>::to_vec),
            false => vec![1; kernel.len()],
        };
        let window = Self { kernel: kernel.to_vec(), strides: list("strides"), dilations: list("dilations") };
        let sizes = [window.strides.len(), window.dilations.len()];
        if sizes.iter().any(|s| *s != kernel.len()) {
            return Err("strides or dilations do not match the kernel".to_string());
        }
        Ok(window)
    }

    fn reach(&self, axis: usize) -> i64 {
        (self.kernel[axis] - 1) * self.dilations[axis] + 1
    }

    /// Padding before and after each axis of extents `size`.
    pub(crate) fn pads(&self, call: &Call<'_>, size: &[Dim]) -> Vec<(Dim, Dim)> {
        let n = self.kernel.len();
        let given = call.attrs.ints("pads");
        let mode = auto_pad(call);
        // Pooling may also cut elements off.
        let cuts = call.attrs.def.attr("ceil_mode").is_some();
        let pad = |axis: usize| match mode {
            "SAME_UPPER" | "SAME_LOWER" => {
                let step = Dim::fixed(self.strides[axis]);
                let last = size[axis].div_ceil(&step).plus(-1).mul(&step);
                let total = last.plus(self.reach(axis)).sub(&size[axis]);
                let total = if cuts { total } else { total.larger(&Dim::fixed(0)) };
                let before = half(&if mode == "SAME_UPPER" { total.clone() } else { total.plus(1) });
                let behind = total.sub(&before);
                (before, behind)
            }
            "VALID" => (Dim::fixed(0), Dim::fixed(0)),
            _ => {
                let at = |i: usize| Dim::fixed(given.get(i).copied().unwrap_or(0));
                (at(axis), at(axis + n))
            }
        };
        (0..n).map(pad).collect()
    }

    /// Fails the run where the window spans more than an axis of extents `size` has with its pads.
    pub(crate) fn must_fit(
        &self,
        cx: &mut Lowering<'_>,
        call: &Call<'_>,
        (size, pads): (&[Dim], &[(Dim, Dim)]),
    ) {
        if auto_pad(call).starts_with("SAME") {
            return;
        }
        for (axis, (extent, (before, behind))) in size.iter().zip(pads).enumerate() {
            let (whole, span) = (extent.add(before).add(behind), self.reach(axis));
            if whole.at_least().is_none_or(|least| least < span) {
                let name = call.graph.name_of(call.result(0));
                let message = format!("the window of `%{name}` is larger than padded spatial axis {axis}");
                cx.at_least(whole, Dim::fixed(span), &message);
            }
        }
    }

    /// How much of the full result of a transposed convolution is cut off at the start.
    pub(super) fn transposed_pad(&self, call: &Call<'_>, axis: usize, size: &Dim, result: &Dim) -> Dim {
        let mode = auto_pad(call);
        let shaped = call.attrs.ints_opt("output_shape").is_some();
        if !shaped && !mode.starts_with("SAME") {
            return Dim::fixed(call.attrs.ints("pads").get(axis).copied().unwrap_or(0));
        }
        let more = call.attrs.ints("output_padding").get(axis).copied().unwrap_or(0);
        let full = size.plus(-1).scale(self.strides[axis]).plus(self.reach(axis) + more);
        let total = full.sub(result).larger(&Dim::fixed(0));
        let half = total.div_floor(&Dim::fixed(2));
        if mode == "SAME_UPPER" { half } else { total.sub(&half) }
    }
}

/// How the pads are found, as the operator may leave open.
fn auto_pad<'a>(call: &Call<'a>) -> &'a str {
    if call.attrs.def.attr("auto_pad").is_some() { call.attrs.str("auto_pad") } else { "NOTSET" }
}

/// Half of a number, cut towards zero.
fn half(number: &Dim) -> Dim {
    let (two, zero) = (Dim::fixed(2), Dim::fixed(0));
    number.larger(&zero).div_floor(&two).sub(&number.scale(-1).larger(&zero).div_floor(&two))
}
