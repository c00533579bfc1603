//! Convolutions, tap by tap.
use crate::array::{Array, strides};
use crate::call::{Call, Eval, EvalError, wrong};
use crate::number::int_range;
use crate::place::{for_each_index, result_dims};
use crate::slide::{Slide, channels_back, channels_first};
use weft_ir::ops::window::Layout;
use weft_ir::{DType, Tensor};

type Results = Result<Vec<Tensor>, EvalError>;

/// The functions of this family.
pub(crate) const EVALS: &[(&str, Eval)] = &[
    ("Conv", conv),
    ("ConvInteger", conv_integer),
    ("ConvTranspose", conv_transpose),
    ("QLinearConv", qlinear_conv),
];

/// Extents of a result, with the channels before the spatial axes.
fn first_dims(dims: &[usize], layout: Layout) -> Vec<usize> {
    let (batch, channels, spatial) = layout.split(dims);
    Layout::First.join(batch, channels, &spatial)
}

fn conv(call: &Call<'_>) -> Results {
    let layout = Layout::of(&call.attrs)?;
    let dims = first_dims(&result_dims(call)?, layout);
    let (x, w) = (channels_first(call.floats(0)?, layout), call.floats(1)?);
    let slide = Slide::of(call, &w.dims[2..], &x.dims[2..], &dims[2..])?;
    let mut y = forward(&x, &w, &slide, call.attrs.int("group") as usize);
    add_bias(&mut y, call.floats_opt(2)?);
    Ok(vec![channels_back(y, layout).store(call.dtype(0)?)?])
}

/// Adds an element of the bias to each channel.
fn add_bias(y: &mut Array<f64>, bias: Option<Array<f64>>) {
    let Some(bias) = bias else { return };
    let plane: usize = y.dims[2..].iter().product();
    for (i, row) in y.data.chunks_exact_mut(plane.max(1)).enumerate() {
        row.iter_mut().for_each(|v| *v += bias.data[i % bias.data.len()]);
    }
}

/// One row of the result meets one row of the operand: offsets, length and step of the operand.
struct Rows {
    wide: usize,
    narrow: usize,
    count: usize,
    step: usize,
}

/// For tap `tap`, all pairs of rows that meet: `wide` in the strided operand, `narrow` in the other.
fn for_each_row(slide: &Slide, tap: &[usize], mut f: impl FnMut(Rows)) {
    let last = slide.from.len() - 1;
    let ranges: Vec<_> = (0..=last).map(|a| slide.inside(a, tap[a])).collect();
    let (wide, narrow) = (strides(&slide.from), strides(&slide.to));
    let outer: Vec<usize> = ranges[..last].iter().map(ExactSizeIterator::len).collect();
    for_each_index(&outer, |at| {
        let mut rows = Rows {
            wide: slide.position(last, ranges[last].start, tap[last]).max(0) as usize,
            narrow: ranges[last].start,
            count: ranges[last].len(),
            step: slide.strides[last] as usize,
        };
        for axis in 0..last {
            let i = ranges[axis].start + at[axis];
            rows.wide += slide.position(axis, i, tap[axis]) as usize * wide[axis];
            rows.narrow += i * narrow[axis];
        }
        if rows.count > 0 {
            f(rows);
        }
    });
}

/// Convolution without bias, channels first.
pub(crate) fn forward(x: &Array<f64>, w: &Array<f64>, slide: &Slide, groups: usize) -> Array<f64> {
    let (inputs, outputs) = (w.dims[1], w.dims[0]);
    let dims = Layout::First.join(x.dims[0], outputs, &slide.to);
    let mut y = Array::filled(dims, 0.0);
    let (x_plane, y_plane) = (slide.from.iter().product::<usize>(), slide.to.iter().product::<usize>());
    for (i, plane) in y.data.chunks_exact_mut(y_plane.max(1)).enumerate() {
        let (n, out) = (i / outputs, i % outputs);
        let group = out / (outputs / groups).max(1);
        for c in 0..inputs {
            let start = (n * inputs * groups + group * inputs + c) * x_plane;
            let source = &x.data[start..start + x_plane];
            let mut tap_at = (out * inputs + c) * slide.kernel.iter().product::<usize>();
            for_each_index(&slide.kernel, |tap| {
                let weight = w.data[tap_at];
                tap_at += 1;
                for_each_row(slide, tap, |r| {
                    let from = source[r.wide..].iter().step_by(r.step);
                    plane[r.narrow..r.narrow + r.count]
                        .iter_mut()
                        .zip(from)
                        .for_each(|(y, x)| *y += weight * x);
                });
            });
        }
    }
    y
}

fn conv_transpose(call: &Call<'_>) -> Results {
    let layout = Layout::of(&call.attrs)?;
    let dims = first_dims(&result_dims(call)?, layout);
    let (x, w) = (channels_first(call.floats(0)?, layout), call.floats(1)?);
    let (from, to) = (&x.dims[2..], &dims[2..]);
    // The roles are swapped: the result is what the window slides over.
    let mut slide = Slide::of(call, &w.dims[2..], to, from)?;
    let asked = !call.attrs.ints("output_shape").is_empty();
    let auto = call.attrs.str("auto_pad");
    if asked || auto.starts_with("SAME") {
        let more = call.attrs.ints("output_padding");
        for axis in 0..from.len() {
            let span = (slide.kernel[axis] as i64 - 1) * slide.dilations[axis] + 1;
            let natural = (from[axis] as i64 - 1) * slide.strides[axis] + span + more.get(axis).unwrap_or(&0);
            let total = (natural - to[axis] as i64).max(0);
            slide.before[axis] = if auto == "SAME_UPPER" { total / 2 } else { total - total / 2 };
        }
    }
    let mut y = backward(&x, &w, &slide, call.attrs.int("group") as usize);
    add_bias(&mut y, call.floats_opt(2)?);
    Ok(vec![channels_back(y, layout).store(call.dtype(0)?)?])
}

/// Transposed convolution without bias, channels first; `slide` runs over the result.
fn backward(x: &Array<f64>, w: &Array<f64>, slide: &Slide, groups: usize) -> Array<f64> {
    let (inputs, outputs) = (w.dims[0] / groups, w.dims[1]);
    let dims = Layout::First.join(x.dims[0], outputs * groups, &slide.from);
    let mut y = Array::filled(dims, 0.0);
    let (y_plane, x_plane) = (slide.from.iter().product::<usize>(), slide.to.iter().product::<usize>());
    for (i, plane) in y.data.chunks_exact_mut(y_plane.max(1)).enumerate() {
        let (n, group, out) = (i / (outputs * groups), i / outputs % groups, i % outputs);
        for c in 0..inputs {
            let channel = group * inputs + c;
            let start = (n * inputs * groups + channel) * x_plane;
            let source = &x.data[start..start + x_plane];
            let mut tap_at = (channel * outputs + out) * slide.kernel.iter().product::<usize>();
            for_each_index(&slide.kernel, |tap| {
                let weight = w.data[tap_at];
                tap_at += 1;
                for_each_row(slide, tap, |r| {
                    let from = &source[r.narrow..r.narrow + r.count];
                    plane[r.wide..].iter_mut().step_by(r.step).zip(from).for_each(|(y, x)| *y += weight * x);
                });
            });
        }
    }
    y
}

/// Operand `i` less the zero point in operand `zero`, which has one element or one for each first
/// index.
fn centred(call: &Call<'_>, i: usize, zero: usize) -> Result<Array<f64>, EvalError> {
    let mut x = call.floats(i)?;
    let Some(zero) = call.floats_opt(zero)? else { return Ok(x) };
    let channels = x.dims[0];
    if zero.data.len() != 1 && zero.data.len() != channels {
        return wrong(format!("a zero point has {} elements, expected 1 or {channels}", zero.data.len()));
    }
    let each = (x.data.len() / channels.max(1)).max(1);
    x.data.chunks_mut(each).enumerate().for_each(|(c, row)| {
        let zero = zero.data[c % zero.data.len()];
        row.iter_mut().for_each(|v| *v -= zero);
    });
    Ok(x)
}

/// The sums of products of integers less their zero points; exact, for they are small.
fn integer_sums(call: &Call<'_>, x: &Array<f64>, w: &Array<f64>) -> Result<Array<f64>, EvalError> {
    let dims = result_dims(call)?;
    let slide = Slide::of(call, &w.dims[2..], &x.dims[2..], &dims[2..])?;
    Ok(forward(x, w, &slide, call.attrs.int("group") as usize))
}

fn conv_integer(call: &Call<'_>) -> Results {
    result_dims(call)?;
    let sums = integer_sums(call, &centred(call, 0, 2)?, &centred(call, 1, 3)?)?;
    Ok(vec![sums.map(|x| x as i128).store(DType::I32)?])
}

fn qlinear_conv(call: &Call<'_>) -> Results {
    result_dims(call)?;
    let mut sums = integer_sums(call, &centred(call, 0, 2)?, &centred(call, 3, 5)?)?;
    add_bias(&mut sums, call.floats_opt(8)?);
    let (x_scale, y_scale, y_zero) = (call.scalar(1)?, call.scalar(6)?, call.scalar(7)?);
    let (w_scale, channels) = (call.floats(4)?.data, sums.dims[1]);
    if w_scale.len() != 1 && w_scale.len() != channels {
        return wrong(format!("`w_scale` has {} elements, expected 1 or {channels}", w_scale.len()));
    }
    let dtype = call.dtype(7)?;
    let (low, high) = int_range(dtype);
    let plane: usize = sums.dims[2..].iter().product();
    for (i, row) in sums.data.chunks_exact_mut(plane.max(1)).enumerate() {
        // Rounding hangs on the width of the floats, and 32 bits are the custom.
        let scale = x_scale as f32 * w_scale[i % channels % w_scale.len()] as f32 / y_scale as f32;
        row.iter_mut().for_each(|v| {
            let scaled = f64::from((*v as f32 * scale).round_ties_even());
            *v = (scaled + y_zero).clamp(low as f64, high as f64);
        });
    }
    Ok(vec![sums.store(dtype)?])
}
