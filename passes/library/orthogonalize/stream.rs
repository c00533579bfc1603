//! Finding the residual stream: from the embedding from one sum to the next, up to the last
//! normalisation.
use std::collections::BTreeSet;
use std::ops::Range;
use weft_ir::{NodeId, Tensor, Value};
use weft_passes::{Declined, Rewriter};

/// Nodes that are followed to find out what a layer is for.
const FAR: usize = 96;

/// Why what is looked up is no stream.
const UNNAMED: &str = "no normalisation reads it; `recognise-rms-norm` names those that are spelt out";

/// A product of the stream with a constant.
pub(super) struct Reader {
    pub(super) node: NodeId,
    pub(super) weight: Value,
}

/// Where the stream is normalised and read.
pub(super) struct Place {
    pub(super) norm: NodeId,
    pub(super) gain: Vec<f64>,
    pub(super) readers: Vec<Reader>,
    /// The reader that the axes are for: it makes the keys, or the gate.
    pub(super) leading: usize,
    pub(super) has_gate: bool,
}

/// A product that is added to the stream.
pub(super) struct Writer {
    pub(super) sum: NodeId,
    /// The stream before.
    pub(super) before: Value,
    pub(super) product: NodeId,
    pub(super) weight: Value,
    /// The sum with a constant in between, and the constant.
    pub(super) bias: Option<(NodeId, Value)>,
}

/// A residual stream.
pub(super) struct Stream {
    pub(super) width: usize,
    /// Looks the stream up.
    pub(super) gather: NodeId,
    pub(super) table: Value,
    /// One more than there are writers.
    pub(super) places: Vec<Place>,
    pub(super) writers: Vec<Writer>,
}

impl Stream {
    /// The stream that starts where rows of a constant are gathered.
    pub(super) fn from(g: &Rewriter<'_>, gather: NodeId) -> Result<Option<Self>, Declined> {
        if !g.applies(gather, "Gather") || g.attrs(gather).is_none_or(|attrs| attrs.int("axis") != 0) {
            return Ok(None);
        }
        let Some(table) = g.operand(gather, 0) else { return Ok(None) };
        let Some([_, width]) =
            g.data(table).map(|table| table.dims().to_vec()).and_then(|d| <[u64; 2]>::try_from(d).ok())
        else {
            return Ok(None);
        };
        let mut here = g.result(gather);
        if !g.dtype(table).is_float() || width == 0 {
            return Ok(None);
        }
        if !g.uses(here).iter().any(|(user, _)| is_norm(g, *user)) {
            return Err(UNNAMED.into());
        }
        let (mut places, mut writers) = (Vec::new(), Vec::new());
        loop {
            let (place, writer) = step(g, here, width as usize)?;
            places.push(place);
            let Some(writer) = writer else { break };
            here = g.result(writer.sum);
            writers.push(writer);
        }
        if writers.is_empty() {
            return Err("nothing is added to the stream".into());
        }
        Ok(Some(Self { width: width as usize, gather, table, places, writers }))
    }

    /// The places with a gate.
    pub(super) fn gates(&self) -> Vec<usize> {
        (0..self.places.len() - 1).filter(|place| self.places[*place].has_gate).collect()
    }
}

fn is_norm(g: &Rewriter<'_>, id: NodeId) -> bool {
    matches!(g.node(id).op.as_str(), "RMSNormalization" | "LayerNormalization")
}

/// Who reads the stream at one place, and who writes to it there.
fn step(g: &Rewriter<'_>, here: Value, width: usize) -> Result<(Place, Option<Writer>), Declined> {
    if g.outputs().contains(&here) {
        return Err("the stream is an output".into());
    }
    let (mut norms, mut sums) = (Vec::new(), Vec::new());
    for (user, position) in g.uses(here) {
        match g.node(user).op.as_str() {
            "RMSNormalization" if position == 0 => norms.push(user),
            "LayerNormalization" => {
                return Err("it is normalised around the mean, which rotations do not keep".into());
            }
            "Add" => sums.push(user),
            other => return Err(format!("the stream is read by `{other}`").into()),
        }
    }
    let [norm] = norms[..] else {
        return Err(format!("{} normalisations read the stream", norms.len()).into());
    };
    let writer = match sums[..] {
        [] => None,
        [sum] => Some(writer(g, sum, here)?),
        _ => return Err("the stream is added to twice".into()),
    };
    Ok((place(g, norm, width)?, writer))
}

fn place(g: &Rewriter<'_>, norm: NodeId, width: usize) -> Result<Place, Declined> {
    let gain = g.operand(norm, 1).and_then(|gain| g.data(gain)).filter(|gain| gain.dims() == [width as u64]);
    let gain = gain.and_then(|gain| gain.to_f64s()).ok_or("the gain is not one constant per channel")?;
    if g.outputs().contains(&g.result(norm)) || g.node(norm).results.len() > 1 {
        return Err("the normalised stream is read by something else than products".into());
    }
    let mut readers = Vec::new();
    for (user, position) in g.uses(g.result(norm)) {
        let weight = g.operand(user, 1).filter(|_| position == 0 && g.applies(user, "MatMul"));
        let weight = weight.ok_or_else(|| format!("`{}` reads the normalised stream", g.node(user).op))?;
        matrix_dims(g, weight)?;
        readers.push(Reader { node: user, weight });
    }
    let of = |what: &dyn Fn(&Reader) -> bool| readers.iter().position(what);
    let keys = of(&|reader| makes_keys(g, reader.node));
    let gate = of(&|reader| is_gate(g, reader.node));
    if readers.is_empty() {
        return Err("nothing reads a normalisation of the stream".into());
    }
    Ok(Place {
        norm,
        gain,
        leading: keys.or(gate).unwrap_or(0),
        has_gate: keys.is_none() && gate.is_some(),
        readers,
    })
}

fn writer(g: &Rewriter<'_>, sum: NodeId, before: Value) -> Result<Writer, Declined> {
    let not_linear = || Declined::from("what is added to the stream is not a constant product");
    let added = g.other(sum, before).filter(|added| *added != before).ok_or_else(not_linear)?;
    let (product, bias) = match g.made_by(added, "Add").and_then(|id| Some((id, g.with_constant(id)?))) {
        Some((id, (product, bias))) => (product, Some((id, bias))),
        None => (added, None),
    };
    let node = g.made_by(product, "MatMul").ok_or_else(not_linear)?;
    let weight = g.operand(node, 1).ok_or_else(not_linear)?;
    matrix_dims(g, weight)?;
    if !g.used_once(product) || !g.used_once(added) {
        return Err("what is added to the stream is used elsewhere".into());
    }
    if let Some((_, bias)) = bias
        && g.data(bias).is_none_or(|bias| bias.dims().len() != 1)
    {
        return Err("the bias of what is added is not one number per channel".into());
    }
    Ok(Writer { sum, before, product: node, weight, bias })
}

/// The extents of a constant matrix, or of one with its axes exchanged.
fn matrix_dims(g: &Rewriter<'_>, value: Value) -> Result<[usize; 2], Declined> {
    let turned = turned(g, value);
    let data = g.data(turned.unwrap_or(value)).ok_or("a layer of the stream has no constant matrix")?;
    match *data.dims() {
        [rows, cols] if turned.is_some() => Ok([cols as usize, rows as usize]),
        [rows, cols] => Ok([rows as usize, cols as usize]),
        _ => Err("a layer of the stream has no constant matrix".into()),
    }
}

/// What a value is with the axes exchanged.
fn turned(g: &Rewriter<'_>, value: Value) -> Option<Value> {
    let id = g.made_by(value, "Transpose")?;
    let plain = g.data(g.operand(id, 0)?).is_some_and(|data| data.dims().len() == 2);
    let attrs = g.attrs(id)?;
    let perm = attrs.ints("perm");
    g.operand(id, 0).filter(|_| plain && (perm.is_empty() || perm == [1, 0]))
}

/// A constant matrix.
pub(super) struct Matrix<'g> {
    data: &'g Tensor,
    /// Whether it lies column by column.
    turned: bool,
    rows: usize,
    pub(super) cols: usize,
}

impl<'g> Matrix<'g> {
    /// The matrix of so many rows that a value is.
    pub(super) fn of(g: &'g Rewriter<'_>, value: Value, rows: usize) -> Result<Self, Declined> {
        let [found, cols] = matrix_dims(g, value)?;
        let turned = turned(g, value);
        let data = g.data(turned.unwrap_or(value)).filter(|data| data.dtype().is_float());
        let data = data.ok_or("a matrix is not of floats")?;
        if found != rows {
            return Err(format!("a matrix of the stream has {found} rows, expected {rows}").into());
        }
        Ok(Self { data, turned: turned.is_some(), rows, cols })
    }

    /// The numbers of some columns, row-major.
    pub(super) fn columns(&self, columns: Range<usize>) -> Result<Vec<f64>, Declined> {
        if self.turned {
            let numbers = numbers(self.data, columns.start * self.rows..columns.end * self.rows)?;
            return Ok(weft_numerics::transposed(&numbers, [columns.len(), self.rows]));
        }
        if columns.len() == self.cols {
            return numbers(self.data, 0..self.rows * self.cols);
        }
        let mut all = Vec::with_capacity(self.rows * columns.len());
        for row in 0..self.rows {
            all.extend(numbers(self.data, row * self.cols + columns.start..row * self.cols + columns.end)?);
        }
        Ok(all)
    }

    /// All numbers, row-major.
    pub(super) fn all(&self) -> Result<Vec<f64>, Declined> {
        self.columns(0..self.cols)
    }
}

/// Some numbers of a tensor as they lie.
pub(super) fn numbers(tensor: &Tensor, range: Range<usize>) -> Result<Vec<f64>, Declined> {
    let bytes = tensor.dtype().bits() as usize / 8;
    let data = tensor.data().slice(range.start * bytes..range.end * bytes);
    let part = Tensor::new(tensor.dtype(), vec![range.len() as u64], data);
    part.ok().and_then(|part| part.to_f64s()).ok_or_else(|| "a matrix is not of floats of whole bytes".into())
}

/// Whether a nonlinear function is applied to what a layer makes.
fn is_gate(g: &Rewriter<'_>, layer: NodeId) -> bool {
    let curved = [
        "Sigmoid",
        "Swish",
        "SwiGLU",
        "Gelu",
        "com.microsoft.Gelu",
        "com.microsoft.QuickGelu",
        "Relu",
        "Tanh",
    ];
    g.uses(g.result(layer))
        .iter()
        .any(|(user, position)| *position == 0 && curved.contains(&g.node(*user).op.as_str()))
}

/// Whether what a layer makes is on the right side of scores: of an attention, or of a product that
/// a softmax is taken of.
fn makes_keys(g: &Rewriter<'_>, layer: NodeId) -> bool {
    let meets = |user: NodeId, position: usize| match g.node(user).op.as_str() {
        "Attention" => Some(position == 1),
        "MatMul" if position == 1 => {
            Some(leads_to(g, user, &|user, _| (g.applies(user, "Softmax")).then_some(true)))
        }
        "MatMul" | "Softmax" => Some(false),
        _ => None,
    };
    leads_to(g, layer, &meets)
}

/// Follows what a node makes, through everything for which `meets` says nothing, until it says yes.
fn leads_to(g: &Rewriter<'_>, from: NodeId, meets: &dyn Fn(NodeId, usize) -> Option<bool>) -> bool {
    let (mut open, mut seen) = (vec![from], BTreeSet::new());
    while let Some(id) = open.pop().filter(|_| seen.len() < FAR) {
        let results = (0..g.node(id).results.len() as u32).map(|slot| Value { node: id, slot });
        for (user, position) in results.flat_map(|value| g.uses(value)) {
            match meets(user, position) {
                Some(true) => return true,
                Some(false) => {}
                None if g.applies(user, "MatMul") => {}
                None if seen.insert(user) => open.push(user),
                None => {}
            }
        }
    }
    false
}
