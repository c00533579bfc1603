//! Turning a stream: new constants everywhere, and products between places of different axes.
use super::Axes;
use super::stream::{Place, Reader, Stream, Writer, matrix};
use weft_ir::{DType, Tensor, Value};
use weft_numerics::{product, transposed};
use weft_passes::{Declined, Rewriter, filled, floats, node};

/// Rows of the embedding that are turned at once.
const ROWS: usize = 1024;

/// Gives the stream the axes `of[place]` at each place.
pub(super) fn turn(
    g: &mut Rewriter<'_>,
    stream: &Stream,
    (axes, of): (&[Axes], &[usize]),
) -> Result<(), Declined> {
    let width = stream.width;
    embedding(g, stream, &axes[of[0]])?;
    for (number, place) in stream.places.iter().enumerate() {
        let axes = &axes[of[number]];
        let back = transposed(&axes.matrix, [width, width]);
        let ones =
            filled(stream_dtype(g, stream), &[width as u64], 1.0).ok_or("the stream is not of floats")?;
        let ones = g.constant(ones)?;
        let normalised = g.operand(place.norm, 0);
        g.set_operands(place.norm, vec![normalised, Some(ones)]);
        for (which, reader) in place.readers.iter().enumerate() {
            let own = axes.own == Some(number) && which == place.leading;
            read(g, (place, reader), (&back, width, own))?;
        }
    }
    for (number, writer) in stream.writers.iter().enumerate() {
        let (before, after) = (of[number], of[number + 1]);
        let change = (before != after).then(|| {
            let back = transposed(&axes[before].matrix, [width, width]);
            product(&back, &axes[after].matrix, [width, width, width])
        });
        write(g, writer, (&axes[after].matrix, change.as_deref(), width))?;
    }
    Ok(())
}

fn stream_dtype(g: &Rewriter<'_>, stream: &Stream) -> DType {
    g.dtype(stream.table)
}

fn embedding(g: &mut Rewriter<'_>, stream: &Stream, axes: &Axes) -> Result<(), Declined> {
    let table = g.data(stream.table).cloned().ok_or("the embedding is gone")?;
    let (numbers, dims) =
        (table.to_vec::<f32>().ok_or("the embedding is not of f32")?, table.dims().to_vec());
    let mut turned: Vec<f32> = Vec::with_capacity(numbers.len());
    for rows in numbers.chunks(ROWS * stream.width) {
        let rows: Vec<f64> = rows.iter().map(|x| f64::from(*x)).collect();
        let rows = product(&rows, &axes.matrix, [rows.len() / stream.width, stream.width, stream.width]);
        turned.extend(rows.iter().map(|x| *x as f32));
    }
    let turned = Tensor::from_slice(&dims, &turned).map_err(|e| Declined::from(e.to_string()))?;
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
    g.constant(tensor.ok_or("a matrix is not of floats")?)
}

/// A layer that reads the stream: `Q' gain w`. If the axes are its own and it has fewer outputs than
/// inputs, the last inputs make no difference and are not read.
fn read(
    g: &mut Rewriter<'_>,
    (place, reader): (&Place, &Reader),
    (back, width, own): (&[f64], usize, bool),
) -> Result<(), Declined> {
    let (dtype, (weights, cols)) = (g.dtype(reader.weight), matrix(g, reader.weight, width)?);
    let scaled: Vec<f64> = weights.iter().enumerate().map(|(i, w)| w * place.gain[i / cols]).collect();
    let turned = product(back, &scaled, [width, width, cols]);
    let kept = if own { cols.min(width) } else { width };
    let weight = constant(g, dtype, [kept, cols], &turned[..kept * cols])?;
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
    let (weights, _) = matrix(g, writer.weight, rows)?;
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
