//! Turning a stream: new constants everywhere, and products between places of different axes.
use super::Tell;
use super::axes::Axes;
use super::stream::{Matrix, Place, Reader, Stream, Writer, numbers};
use weft_ir::{DType, Tensor, Value};
use weft_numerics::{product, transposed};
use weft_passes::{Declined, Rewriter, filled, floats, node};

/// Rows of the embedding, or columns of a matrix, that are turned at once.
const SOME: usize = 1024;

/// Why numbers are not turned.
const NO_FLOATS: &str = "a matrix is not of floats";

/// Gives the stream its axes, from place to place.
pub(super) fn turn(
    g: &mut Rewriter<'_>,
    stream: &Stream,
    axes: &mut Axes,
    tell: &Tell<'_>,
) -> Result<(), Declined> {
    let (width, mut here) = (stream.width, axes.at(g, (stream, 0), tell)?);
    embedding(g, stream, &here)?;
    for (number, place) in stream.places.iter().enumerate() {
        tell(&format!("orthogonalize, place {} of {}", number + 1, stream.places.len()));
        let back = transposed(&here, [width, width]);
        normalise(g, stream, place)?;
        for (which, reader) in place.readers.iter().enumerate() {
            let own = axes.are_own(number) && which == place.leading;
            read(g, (place, reader), (&back, width, own))?;
        }
        let Some(writer) = stream.writers.get(number) else { break };
        let after = axes.at(g, (stream, number + 1), tell)?;
        let turns = axes.which(number) != axes.which(number + 1);
        let change = turns.then(|| product(&back, &after, [width, width, width]));
        write(g, writer, (&after, change.as_deref(), width))?;
        here = after;
    }
    Ok(())
}

/// Lets a place normalise without a gain, which its layers have taken in.
fn normalise(g: &mut Rewriter<'_>, stream: &Stream, place: &Place) -> Result<(), Declined> {
    let ones = filled(g.dtype(stream.table), &[stream.width as u64], 1.0);
    let ones = g.constant(ones.ok_or("the stream is not of floats")?)?;
    let normalised = g.operand(place.norm, 0);
    g.set_operands(place.norm, vec![normalised, Some(ones)]);
    Ok(())
}

fn embedding(g: &mut Rewriter<'_>, stream: &Stream, axes: &[f64]) -> Result<(), Declined> {
    let table = g.data(stream.table).cloned().ok_or("the embedding is gone")?;
    let (width, count) = (stream.width, table.len() as usize);
    let mut bytes = Vec::with_capacity(table.data().len());
    for first in (0..count).step_by(SOME * width) {
        let rows = numbers(&table, first..(first + SOME * width).min(count))?;
        let turned = product(&rows, axes, [rows.len() / width, width, width]);
        let turned = floats(table.dtype(), &[rows.len() as u64], &turned).ok_or(NO_FLOATS)?;
        bytes.extend_from_slice(turned.data());
    }
    let turned = Tensor::new(table.dtype(), table.dims().to_vec(), bytes.into());
    let turned = turned.map_err(|e| Declined::from(e.to_string()))?;
    let (turned, indices) = (g.constant(turned)?, g.operand(stream.gather, 1));
    g.set_operands(stream.gather, vec![Some(turned), indices]);
    Ok(())
}

/// A constant matrix.
fn constant(
    g: &mut Rewriter<'_>,
    dtype: DType,
    dims: [usize; 2],
    numbers: &[f64],
) -> Result<Value, Declined> {
    let tensor = floats(dtype, &dims.map(|extent| extent as u64), numbers);
    g.constant(tensor.ok_or(NO_FLOATS)?)
}

/// The first `kept` rows of `Q' gain w`, some columns at a time.
fn scaled_and_turned(
    matrix: &Matrix<'_>,
    (gain, back): (&[f64], &[f64]),
    (dtype, kept): (DType, usize),
) -> Result<Tensor, Declined> {
    let (width, cols, size) = (gain.len(), matrix.cols, dtype.bits() as usize / 8);
    let mut bytes = vec![0u8; kept * cols * size];
    for first in (0..cols).step_by(SOME) {
        let count = SOME.min(cols - first);
        let mut part = matrix.columns(first..first + count)?;
        part.iter_mut().enumerate().for_each(|(i, w)| *w *= gain[i / count]);
        let turned = product(back, &part, [width, width, count]);
        let turned = floats(dtype, &[(kept * count) as u64], &turned[..kept * count]).ok_or(NO_FLOATS)?;
        let rows = bytes.chunks_exact_mut(cols * size).zip(turned.data().chunks_exact(count * size));
        rows.for_each(|(row, part)| row[first * size..(first + count) * size].copy_from_slice(part));
    }
    Tensor::new(dtype, vec![kept as u64, cols as u64], bytes.into()).map_err(|e| e.to_string().into())
}

/// A layer that reads the stream: `Q' gain w`. If the axes are its own and it has fewer outputs than
/// inputs, the last inputs make no difference and are not read.
fn read(
    g: &mut Rewriter<'_>,
    (place, reader): (&Place, &Reader),
    (back, width, own): (&[f64], usize, bool),
) -> Result<(), Declined> {
    let (dtype, matrix) = (g.dtype(reader.weight), Matrix::of(g, reader.weight, width)?);
    let kept = if own { matrix.cols.min(width) } else { width };
    let weight = scaled_and_turned(&matrix, (&place.gain, back), (dtype, kept))?;
    let weight = g.constant(weight)?;
    let mut from = g.result(place.norm);
    if kept < width {
        let mut vector = |n: usize| g.constant(Tensor::vector(&[n as i64]));
        let (start, end) = (vector(0)?, vector(kept)?);
        let last = g.constant(Tensor::vector(&[-1i64]))?;
        from = g.add(node("Slice", []), &[Some(from), Some(start), Some(end), Some(last)])?;
    }
    g.set_operands(reader.node, vec![Some(from), Some(weight)]);
    Ok(())
}

/// A layer that writes to the stream: `o P`; the stream before it is turned if its axes are others.
fn write(
    g: &mut Rewriter<'_>,
    writer: &Writer,
    (axes, change, width): (&[f64], Option<&[f64]>, usize),
) -> Result<(), Declined> {
    let dtype = g.dtype(writer.weight);
    let rows = g.dims(g.operand(writer.product, 0).ok_or("an operand is missing")?);
    let rows =
        rows.and_then(|dims| dims.last()?.as_fixed()).ok_or("how much is multiplied is not known")? as usize;
    let weights = Matrix::of(g, writer.weight, rows)?.all()?;
    let weight = constant(g, dtype, [rows, width], &product(&weights, axes, [rows, width, width]))?;
    let operand = g.operand(writer.product, 0);
    g.set_operands(writer.product, vec![operand, Some(weight)]);
    if let Some((sum, bias)) = writer.bias {
        let numbers = g.data(bias).and_then(|bias| bias.to_f64s()).ok_or("a bias is not of floats")?;
        let turned = floats(g.dtype(bias), &[width as u64], &product(&numbers, axes, [1, width, width]));
        let turned = g.constant(turned.ok_or("a bias is not of floats")?)?;
        replace(g, sum, (bias, turned));
    }
    if let Some(change) = change {
        let matrix = constant(g, dtype, [width, width], change)?;
        let turned = g.add(node("MatMul", []), &[Some(writer.before), Some(matrix)])?;
        replace(g, writer.sum, (writer.before, turned));
    }
    Ok(())
}

/// Puts one value in the place of another among the operands of a node.
fn replace(g: &mut Rewriter<'_>, id: weft_ir::NodeId, (old, new): (Value, Value)) {
    let operands =
        g.operands(id).into_iter().map(|operand| if operand == Some(old) { Some(new) } else { operand });
    let operands = operands.collect();
    g.set_operands(id, operands);
}
