//! The geometry of a window that slides over spatial axes: strides, dilations, pads, extents.
use super::rules::fail;
use crate::dim::Dim;
use crate::op::{Attrs, InferError};

/// How the pads are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutoPad {
    /// As `pads` says.
    Explicit,
    /// None at all.
    Valid,
    /// As many as keep the extent (over the stride), the odd one behind.
    SameUpper,
    /// The same with the odd one in front.
    SameLower,
}

/// Where the channels stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Before the spatial axes, as in ONNX.
    First,
    /// Behind them.
    Last,
}

impl Layout {
    /// The attribute `layout` of a node.
    pub fn of(attrs: &Attrs<'_>) -> Result<Self, InferError> {
        match attrs.str("layout") {
            "nchw" => Ok(Layout::First),
            "nhwc" => Ok(Layout::Last),
            other => fail(format!("`layout` is `{other}`, expected nchw or nhwc")),
        }
    }

    /// The axis of the channels in a tensor of that rank.
    pub fn channel(self, rank: usize) -> usize {
        match self {
            Layout::First => 1,
            Layout::Last => rank - 1,
        }
    }

    /// The first spatial axis.
    pub fn spatial(self) -> usize {
        match self {
            Layout::First => 2,
            Layout::Last => 1,
        }
    }

    /// The axis of a tensor of this layout that is `axis` when the channels come first.
    pub fn place(self, axis: usize, rank: usize) -> usize {
        match (self, axis) {
            (Layout::First, _) | (Layout::Last, 0) => axis,
            (Layout::Last, 1) => rank - 1,
            (Layout::Last, _) => axis - 1,
        }
    }

    /// Batch, channels and spatial extents, of a shape with at least two axes.
    pub fn split<T: Clone>(self, dims: &[T]) -> (T, T, Vec<T>) {
        let channel = self.channel(dims.len());
        let first = self.spatial();
        (dims[0].clone(), dims[channel].clone(), dims[first..first + dims.len() - 2].to_vec())
    }

    /// The shape with these batch, channels and spatial extents.
    pub fn join<T: Clone>(self, batch: T, channels: T, spatial: &[T]) -> Vec<T> {
        match self {
            Layout::First => [&[batch, channels], spatial].concat(),
            Layout::Last => [&[batch], spatial, &[channels]].concat(),
        }
    }
}

/// A window over spatial axes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Extents of the window.
    pub kernel: Vec<Dim>,
    /// Steps of the window.
    pub strides: Vec<i64>,
    /// Steps within the window.
    pub dilations: Vec<i64>,
    /// Elements added in front of each axis.
    pub before: Vec<i64>,
    /// Elements added behind each axis.
    pub behind: Vec<i64>,
    /// How the pads are found.
    pub auto: AutoPad,
    /// Whether a last window that begins inside but reaches out counts.
    pub ceil: bool,
    /// The least pads that keep an extent: none for convolutions; pooling may also cut elements off.
    pub least: i64,
}

/// Numbers in attributes of windows stay below this.
const LARGEST: i64 = 1 << 31;

impl Window {
    /// The window of a node whose kernel has these extents. Attributes that the operator does not
    /// declare have their usual defaults.
    pub fn of(attrs: &Attrs<'_>, kernel: Vec<Dim>) -> Result<Self, InferError> {
        let n = kernel.len();
        let declared = |name: &str| attrs.def.attrs.iter().any(|a| a.name == name);
        let list = |name: &str, count: usize, usual: i64, low: i64| {
            let given = if declared(name) { attrs.ints(name) } else { &[] };
            checked(name, given, (count, usual, low))
        };
        if let Some(bad) = kernel.iter().find(|k| k.as_fixed().is_some_and(|k| !(1..LARGEST).contains(&k))) {
            return fail(format!("the kernel has the extent {bad}, expected at least 1"));
        }
        let given = attrs.ints("kernel_shape");
        if !given.is_empty()
            && (given.len() != n
                || kernel.iter().zip(given).any(|(k, g)| k.as_fixed().is_some_and(|k| k != *g)))
        {
            return fail(format!("`kernel_shape` is {given:?}, expected {}", written(&kernel)));
        }
        let auto = if declared("auto_pad") { auto_pad(attrs.str("auto_pad"))? } else { AutoPad::Explicit };
        let pads = list("pads", 2 * n, 0, -LARGEST)?;
        let (before, behind) = match auto {
            AutoPad::Explicit => (pads[..n].to_vec(), pads[n..].to_vec()),
            _ => (vec![0; n], vec![0; n]),
        };
        let ceil = declared("ceil_mode") && attrs.flag("ceil_mode");
        let least = if declared("ceil_mode") { i64::MIN } else { 0 };
        let (strides, dilations) = (list("strides", n, 1, 1)?, list("dilations", n, 1, 1)?);
        Ok(Self { kernel, strides, dilations, before, behind, auto, ceil, least })
    }

    /// How many elements the window spans on an axis.
    pub fn span(&self, axis: usize) -> Dim {
        self.kernel[axis].plus(-1).scale(self.dilations[axis]).plus(1)
    }

    /// How often the window fits on an axis of that extent.
    pub fn slide(&self, axis: usize, extent: &Dim) -> Result<Dim, InferError> {
        let stride = Dim::fixed(self.strides[axis]);
        if matches!(self.auto, AutoPad::SameUpper | AutoPad::SameLower) {
            return Ok(extent.div_ceil(&stride));
        }
        let (before, behind, span) = (self.before[axis], self.behind[axis], self.span(axis));
        let room = extent.plus(before.saturating_add(behind)).sub(&span);
        if let Some(short) = room.at_most().filter(|most| *most < 0) {
            return fail(format!(
                "the window spans {span} elements, {} more than the padded extent {}",
                short.saturating_neg(),
                extent.plus(before.saturating_add(behind))
            ));
        }
        if !self.ceil {
            return Ok(room.div_floor(&stride).plus(1));
        }
        // A window that begins behind the last element of the operand does not count.
        let last = Dim::fixed(behind).add(&stride).sub(&span).smaller(&Dim::fixed(0));
        Ok(extent.plus(before).add(&last).div_ceil(&stride))
    }

    /// The pads of an axis in front and behind, for an extent and what it becomes.
    pub fn pads(&self, axis: usize, extent: i64, result: i64) -> (i64, i64) {
        let span = self.span(axis).as_fixed().unwrap_or(1);
        let missing =
            (result - 1).saturating_mul(self.strides[axis]).saturating_add(span).saturating_sub(extent);
        let missing = missing.max(self.least);
        match self.auto {
            AutoPad::Explicit | AutoPad::Valid => (self.before[axis], self.behind[axis]),
            AutoPad::SameUpper => (missing / 2, missing - missing / 2),
            AutoPad::SameLower => ((missing + 1) / 2, missing - (missing + 1) / 2),
        }
    }
}

fn written(dims: &[Dim]) -> String {
    let dims: Vec<String> = dims.iter().map(Dim::to_string).collect();
    format!("[{}]", dims.join(", "))
}

fn auto_pad(text: &str) -> Result<AutoPad, InferError> {
    match text {
        "NOTSET" => Ok(AutoPad::Explicit),
        "VALID" => Ok(AutoPad::Valid),
        "SAME_UPPER" => Ok(AutoPad::SameUpper),
        "SAME_LOWER" => Ok(AutoPad::SameLower),
        other => fail(format!("`auto_pad` is `{other}`, expected NOTSET, VALID, SAME_UPPER or SAME_LOWER")),
    }
}

/// A list with an entry for each axis, or the usual number everywhere if it is not given.
pub(crate) fn checked(
    name: &str,
    given: &[i64],
    (count, usual, low): (usize, i64, i64),
) -> Result<Vec<i64>, InferError> {
    if given.is_empty() {
        return Ok(vec![usual; count]);
    }
    if given.len() != count {
        return fail(format!("`{name}` has {} entries, expected {count}", given.len()));
    }
    match given.iter().find(|x| !(low..LARGEST).contains(*x)) {
        Some(bad) => fail(format!("`{name}` holds {bad}, expected at least {low}")),
        None => Ok(given.to_vec()),
    }
}
