//! Boxes and regions of images: suppression and pooling.
use crate::array::Array;
use crate::call::{Call, Eval, EvalError, wrong};
use crate::gather::place;
use crate::place::{facts, for_each_index, result_dims};
use weft_ir::{DType, Tensor};

type Results = Result<Vec<Tensor>, EvalError>;

/// The functions of this family.
pub(crate) const EVALS: &[(&str, Eval)] =
    &[("MaxRoiPool", max_roi_pool), ("NonMaxSuppression", non_max_suppression), ("RoiAlign", roi_align)];

/// The corners of a box, the lower ones first.
#[derive(Debug, Clone, Copy)]
struct Corners {
    low: [f64; 2],
    high: [f64; 2],
}

impl Corners {
    fn of(numbers: &[f64], by_centre: bool) -> Self {
        let [a, b, c, d] = [numbers[0], numbers[1], numbers[2], numbers[3]];
        if by_centre {
            return Self { low: [a - c / 2.0, b - d / 2.0], high: [a + c / 2.0, b + d / 2.0] };
        }
        Self { low: [a.min(c), b.min(d)], high: [a.max(c), b.max(d)] }
    }

    fn area(&self) -> f64 {
        (self.high[0] - self.low[0]) * (self.high[1] - self.low[1])
    }

    /// The area both share, over the area either has.
    fn overlap(&self, other: &Self) -> f64 {
        let side = |i: usize| (self.high[i].min(other.high[i]) - self.low[i].max(other.low[i])).max(0.0);
        let shared = side(0) * side(1);
        let either = self.area() + other.area() - shared;
        if either <= 0.0 { 0.0 } else { shared / either }
    }
}

fn non_max_suppression(call: &Call<'_>) -> Results {
    facts(call)?;
    let (boxes, scores) = (call.floats(0)?, call.floats(1)?);
    let (batches, classes, count) = (scores.dims[0], scores.dims[1], scores.dims[2]);
    let first = |i: usize| call.floats_opt(i).map(|x| x.and_then(|x| x.data.first().copied()));
    let most = first(2)?.unwrap_or(0.0).max(0.0) as usize;
    let (overlap, lowest) = (first(3)?.unwrap_or(0.0), first(4)?);
    let by_centre = call.attrs.flag("center_point_box");
    let mut chosen: Vec<i128> = Vec::new();
    for (i, scores) in scores.data.chunks_exact(count.max(1)).enumerate().take(batches * classes) {
        let (batch, class) = (i / classes, i % classes);
        let corners = |b: usize| Corners::of(&boxes.data[(batch * count + b) * 4..][..4], by_centre);
        let mut order: Vec<usize> = (0..count).filter(|b| lowest.is_none_or(|t| scores[*b] > t)).collect();
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
        let mut kept: Vec<Corners> = Vec::new();
        for index in order {
            if kept.len() >= most {
                break;
            }
            let this = corners(index);
            if kept.iter().all(|other| this.overlap(other) <= overlap) {
                kept.push(this);
                chosen.extend([batch as i128, class as i128, index as i128]);
            }
        }
    }
    Ok(vec![Array::new(vec![chosen.len() / 3, 3], chosen).store(DType::I64)?])
}

fn max_roi_pool(call: &Call<'_>) -> Results {
    let dims = result_dims(call)?;
    let (x, rois, scale) = (call.floats(0)?, call.floats(1)?, f64::from(call.attrs.float("spatial_scale")));
    if rois.dims[1] != 5 {
        return wrong(format!("a region has {} numbers, expected 5", rois.dims[1]));
    }
    let (channels, height, width) = (x.dims[1], x.dims[2], x.dims[3]);
    let mut planes = Vec::new();
    for roi in rois.data.chunks_exact(5) {
        planes.push(place(roi[0] as i128, x.dims[0])? * channels);
    }
    let mut data = Vec::with_capacity(dims.iter().product());
    for_each_index(&dims, |at| {
        let roi = &rois.data[at[0] * 5..][..5];
        let corner = |i: usize| (roi[i] * scale).round();
        // The cells `start..end` of axis 0 (rows) or 1 (columns) that belong to a bin.
        let bin = |axis: usize, extent: usize| {
            let (low, high) = (corner(2 - axis), corner(4 - axis));
            let size = (high - low + 1.0).max(1.0) / dims[2 + axis] as f64;
            let edge = |i: f64| (i + low).clamp(0.0, extent as f64) as usize;
            edge((at[2 + axis] as f64 * size).floor())..edge(((at[2 + axis] + 1) as f64 * size).ceil())
        };
        let (rows, columns) = (bin(0, height), bin(1, width));
        let plane = (planes[at[0]] + at[1]) * height * width;
        let cells = rows.flat_map(|y| columns.clone().map(move |x| plane + y * width + x));
        data.push(cells.map(|i| x.data[i]).reduce(f64::max).unwrap_or(0.0));
    });
    Ok(vec![Array::new(dims, data).store(call.dtype(0)?)?])
}

/// One axis of one region: where its cells begin, how large they are, and how many samples each has.
#[derive(Clone, Copy)]
struct Span {
    start: f64,
    cell: f64,
    samples: usize,
    extent: usize,
}

impl Span {
    fn place(&self, cell: usize, sample: usize) -> f64 {
        self.start + cell as f64 * self.cell + (sample as f64 + 0.5) * self.cell / self.samples as f64
    }

    /// The two elements next to a place with their weights; `None` outside of the image.
    fn neighbours(&self, place: f64) -> Option<[(usize, f64); 2]> {
        if !(-1.0..=self.extent as f64).contains(&place) || self.extent == 0 {
            return None;
        }
        let place = place.max(0.0);
        let low = place as usize;
        if low >= self.extent - 1 {
            return Some([(self.extent - 1, 1.0), (self.extent - 1, 0.0)]);
        }
        Some([(low, 1.0 - place.fract()), (low + 1, place.fract())])
    }
}

/// The axis of a region from its two ends.
fn span(call: &Call<'_>, ends: (f64, f64), cells: usize, extent: usize) -> Result<Span, EvalError> {
    let scale = f64::from(call.attrs.float("spatial_scale"));
    let half_pixel = call.attrs.str("coordinate_transformation_mode") == "half_pixel";
    let shift = if half_pixel { 0.5 } else { 0.0 };
    let (start, end) = (ends.0 * scale - shift, ends.1 * scale - shift);
    let length = if half_pixel { end - start } else { (end - start).max(1.0) };
    let samples = match call.attrs.int("sampling_ratio") {
        0 => (length / cells as f64).ceil().max(0.0) as usize,
        given => given as usize,
    };
    call.room(&[samples])?;
    Ok(Span { start, cell: length / cells as f64, samples, extent })
}

fn roi_align(call: &Call<'_>) -> Results {
    let dims = result_dims(call)?;
    let (x, rois, batches) = (call.floats(0)?, call.floats(1)?, call.ints(2)?);
    let (channels, height, width) = (x.dims[1], x.dims[2], x.dims[3]);
    let mut regions = Vec::new();
    for (roi, batch) in rois.data.chunks_exact(4).zip(&batches.data) {
        let rows = span(call, (roi[1], roi[3]), dims[2], height)?;
        let columns = span(call, (roi[0], roi[2]), dims[3], width)?;
        call.room(&[rows.samples, columns.samples])?;
        regions.push((place(*batch, x.dims[0])?, rows, columns));
    }
    let average = call.attrs.str("mode") == "avg";
    let mut data = Vec::with_capacity(dims.iter().product());
    for_each_index(&dims, |at| {
        let (batch, rows, columns) = &regions[at[0]];
        let plane = &x.data[(batch * channels + at[1]) * height * width..][..height * width];
        let (mut sum, mut most) = (0.0, None::<f64>);
        for_each_index(&[rows.samples, columns.samples], |s| {
            let (y, x) = (rows.place(at[2], s[0]), columns.place(at[3], s[1]));
            // As is the custom, the largest weighted neighbour stands for a sample when maxima are asked for.
            let mut best = 0.0f64;
            if let (Some(y), Some(x)) = (rows.neighbours(y), columns.neighbours(x)) {
                let parts = y.iter().flat_map(|y| x.iter().map(|x| plane[y.0 * width + x.0] * y.1 * x.1));
                let parts: Vec<f64> = parts.collect();
                sum += parts.iter().sum::<f64>();
                best = parts.into_iter().fold(f64::NEG_INFINITY, f64::max);
            }
            most = Some(most.map_or(best, |most| most.max(best)));
        });
        let count = (rows.samples * columns.samples).max(1);
        data.push(if average { sum / count as f64 } else { most.unwrap_or(0.0) });
    });
    Ok(vec![Array::new(dims, data).store(call.dtype(0)?)?])
}
