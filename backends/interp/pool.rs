//! Pooling.
use crate::array::{Array, strides};
use crate::call::{Call, Eval, EvalError, wrong};
use crate::place::{for_each_index, offset, result_dims};
use crate::slide::{Slide, channels_back, channels_first};
use weft_ir::ops::window::Layout;
use weft_ir::{DType, Tensor};

type Results = Result<Vec<Tensor>, EvalError>;

/// The functions of this family.
pub(crate) const EVALS: &[(&str, Eval)] = &[
    ("AveragePool", average_pool),
    ("GlobalAveragePool", |call| global(call, |plane| plane.iter().sum::<f64>() / plane.len() as f64)),
    ("GlobalLpPool", global_lp),
    ("GlobalMaxPool", |call| global(call, |plane| plane.iter().fold(f64::NEG_INFINITY, |a, b| a.max(*b)))),
    ("LpPool", lp_pool),
    ("MaxPool", max_pool),
    ("MaxUnpool", max_unpool),
];

/// Operand 0 with channels first, the extents of the result alike, and the window.
fn pooled(call: &Call<'_>, layout: Layout) -> Result<(Array<f64>, Vec<usize>, Slide), EvalError> {
    let (batch, channels, spatial) = layout.split(&result_dims(call)?);
    let dims = Layout::First.join(batch, channels, &spatial);
    let x = channels_first(call.floats(0)?, layout);
    let kernel: Vec<usize> = call.attrs.ints("kernel_shape").iter().map(|k| *k as usize).collect();
    let slide = Slide::of(call, &kernel, &x.dims[2..], &dims[2..])?;
    Ok((x, dims, slide))
}

/// Calls `f` with the offset of each element of a plane in the window at `at`.
fn for_each_tap(slide: &Slide, at: &[usize], mut f: impl FnMut(usize)) {
    let taps: Vec<_> = (0..at.len()).map(|axis| slide.taps(axis, at[axis])).collect();
    let counts: Vec<usize> = taps.iter().map(ExactSizeIterator::len).collect();
    let steps = strides(&slide.from);
    for_each_index(&counts, |i| {
        f((0..at.len()).map(|a| slide.position(a, at[a], taps[a].start + i[a]) as usize * steps[a]).sum());
    });
}

/// Each window of each plane through `f`, which gets the plane, the window and where it is.
fn each_window(
    x: &Array<f64>,
    dims: &[usize],
    slide: &Slide,
    f: impl Fn(&[f64], &[usize]) -> f64,
) -> Array<f64> {
    let plane: usize = slide.from.iter().product();
    let mut data = Vec::with_capacity(dims.iter().product());
    for_each_index(dims, |at| {
        let start = (at[0] * dims[1] + at[1]) * plane;
        data.push(f(&x.data[start..start + plane], &at[2..]));
    });
    Array::new(dims.to_vec(), data)
}

fn average_pool(call: &Call<'_>) -> Results {
    let layout = Layout::of(&call.attrs)?;
    let (x, dims, slide) = pooled(call, layout)?;
    let with_pads = call.attrs.flag("count_include_pad");
    let y = each_window(&x, &dims, &slide, |plane, at| {
        let (mut sum, mut count) = (0.0, 0);
        for_each_tap(&slide, at, |i| {
            sum += plane[i];
            count += 1;
        });
        if with_pads {
            count = (0..at.len()).map(|axis| slide.padded_taps(axis, at[axis])).product();
        }
        if count == 0 { 0.0 } else { sum / count as f64 }
    });
    Ok(vec![channels_back(y, layout).store(call.dtype(0)?)?])
}

fn lp_pool(call: &Call<'_>) -> Results {
    let layout = Layout::of(&call.attrs)?;
    let (x, dims, slide) = pooled(call, layout)?;
    let p = call.attrs.int("p") as f64;
    let y = each_window(&x, &dims, &slide, |plane, at| {
        let mut sum = 0.0;
        for_each_tap(&slide, at, |i| sum += plane[i].abs().powf(p));
        sum.powf(p.recip())
    });
    Ok(vec![channels_back(y, layout).store(call.dtype(0)?)?])
}

fn max_pool(call: &Call<'_>) -> Results {
    let layout = Layout::of(&call.attrs)?;
    let (x, dims, slide) = pooled(call, layout)?;
    let dtype = call.dtype(0)?;
    // What no element can be below; integers saturate there.
    let nothing = if dtype.is_float() { f64::NEG_INFINITY } else { crate::number::int_range(dtype).0 as f64 };
    let mut places = Vec::new();
    let plane_size: usize = slide.from.iter().product();
    let mut data = Vec::new();
    for_each_index(&dims, |at| {
        let start = (at[0] * dims[1] + at[1]) * plane_size;
        let (mut best, mut place) = (nothing, None);
        for_each_tap(&slide, &at[2..], |i| {
            let v = x.data[start + i];
            if place.is_none() || v > best || (v.is_nan() && !best.is_nan()) {
                (best, place) = (v, Some(i));
            }
        });
        data.push(best);
        let order = call.attrs.int("storage_order");
        places.push(start + place.map_or(0, |i| ordered(i, &slide.from, order)));
    });
    let y = channels_back(Array::new(dims.clone(), data), layout).store(dtype)?;
    let places = Array::new(dims, places).map(|i| i as i128).store(DType::I64)?;
    Ok(vec![y, places])
}

/// An offset in row-major order as one in the asked order: 0 for rows, 1 for columns.
fn ordered(index: usize, dims: &[usize], order: i64) -> usize {
    if order == 0 {
        return index;
    }
    let (steps, mut step, mut sum) = (strides(dims), 1, 0);
    for (axis, extent) in dims.iter().enumerate() {
        sum += index / steps[axis] % extent * step;
        step *= extent;
    }
    sum
}

/// Each plane through `f`.
fn global(call: &Call<'_>, f: impl Fn(&[f64]) -> f64) -> Results {
    let layout = Layout::of(&call.attrs)?;
    let (batch, channels, spatial) = layout.split(&result_dims(call)?);
    let dims = Layout::First.join(batch, channels, &spatial);
    let x = channels_first(call.floats(0)?, layout);
    let plane: usize = x.dims[2..].iter().product();
    let data = (0..batch * channels).map(|i| f(&x.data[i * plane..(i + 1) * plane])).collect();
    Ok(vec![channels_back(Array::new(dims, data), layout).store(call.dtype(0)?)?])
}

fn global_lp(call: &Call<'_>) -> Results {
    let p = call.attrs.int("p") as f64;
    global(call, |plane| plane.iter().map(|x| x.abs().powf(p)).sum::<f64>().powf(p.recip()))
}

fn max_unpool(call: &Call<'_>) -> Results {
    let dims = result_dims(call)?;
    let (x, indices) = (call.floats(0)?, call.ints(1)?);
    let natural = natural_dims(call, &x.dims)?;
    let count = call.room(&natural)?;
    let (steps, natural_steps) = (strides(&dims), strides(&natural));
    let mut y = Array::filled(dims.clone(), 0.0);
    for (value, index) in x.data.iter().zip(indices.data) {
        if !(0..count as i128).contains(&index) {
            return wrong(format!("index {index} is outside a tensor of {count} elements"));
        }
        let at: Vec<usize> =
            natural.iter().zip(&natural_steps).map(|(d, s)| index as usize / s % d).collect();
        if at.iter().zip(&dims).all(|(i, d)| i < d) {
            y.data[offset(&at, &steps)] = *value;
        }
    }
    Ok(vec![y.store(call.dtype(0)?)?])
}

/// The extents that indices of MaxUnpool speak of, whatever shape is asked for.
fn natural_dims(call: &Call<'_>, from: &[usize]) -> Result<Vec<usize>, EvalError> {
    let attrs = call.attrs;
    let (kernel, pads, steps) = (attrs.ints("kernel_shape"), attrs.ints("pads"), attrs.ints("strides"));
    let n = kernel.len();
    let mut dims = from[..2].to_vec();
    for axis in 0..n {
        let pad = pads.get(axis).unwrap_or(&0) + pads.get(n + axis).unwrap_or(&0);
        let whole = (from[2 + axis] as i64 - 1) * steps.get(axis).unwrap_or(&1) + kernel[axis] - pad;
        match usize::try_from(whole) {
            Ok(whole) => dims.push(whole),
            Err(_) => return wrong(format!("the result would have the extent {whole}")),
        }
    }
    Ok(dims)
}
