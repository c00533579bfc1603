//! What a layer takes at one token, by the cost model of the target.
use crate::forms::Form;
use weft_ir::{DType, Dim, Fact, Node, OpSet, TensorType};
use weft_passes::{Applied, Cost, Linear};

/// How long a row that is left when others are skipped takes to come from memory, against one of all, of floats and of
/// codes, as measured at 50 %: 0.76 to 1.05 and 1.2 on Intel's processors, 1.1 and 1.2 on Zen 4.
const SCATTERED: [f64; 2] = [0.9, 1.2];
/// Picoseconds to compare an input with its limit, and to list it if it passes.
const LISTED: u64 = 2_000;

/// Picoseconds of a layer in some form, in a model of so many weights that all have it: if they do not fit the caches, they
/// come from memory for every token. A mask lets rows of the matrix be skipped.
pub(super) fn picoseconds(
    cost: &dyn Cost,
    ops: &OpSet,
    (layer, weights): (&Linear, u64),
    form: Form<'_>,
) -> u64 {
    let [inputs, outputs] = layer.dims.map(|n| n as u64);
    let whole = match form.coded {
        Some(coded) => coded.types(),
        None => vec![floats(&[inputs, outputs])],
    };
    let bytes: u64 = whole.iter().filter_map(|ty| ty.dtype.bytes(ty.elements()?.as_fixed()? as u64)).sum();
    let own = (inputs * outputs).max(1);
    let beside = bytes as f64 * weights.saturating_sub(own) as f64 / own as f64;
    let scattered = SCATTERED[usize::from(form.coded.is_some())];
    let rows = form
        .masked
        .map_or(inputs, |masked| ((inputs as f64 * (1.0 - masked.sparsity) * scattered) as u64).min(inputs));
    // Scales that inputs share are read whole.
    let read = whole.into_iter().map(|ty| if is_by_input(&ty, inputs) { first(&ty, rows) } else { ty });
    let operands = std::iter::once(floats(&[1, rows])).chain(read).collect();
    let result = floats(&[1, outputs]);
    let product = multiplied((cost, ops), (operands, result), (form.masked.is_some(), beside as u64));
    product.saturating_add(form.masked.map_or(0, |_| inputs * LISTED))
}

/// Whether each input has a row of its own.
fn is_by_input(ty: &TensorType, inputs: u64) -> bool {
    let rows = ty.dims.as_ref().and_then(|dims| dims.first()?.as_fixed());
    rows == i64::try_from(inputs).ok()
}

/// The first rows.
fn first(ty: &TensorType, rows: u64) -> TensorType {
    let mut some = ty.clone();
    if let Some(dim) = some.dims.as_mut().and_then(|dims| dims.first_mut()) {
        *dim = Dim::fixed(rows as i64);
    }
    some
}

fn floats(dims: &[u64]) -> TensorType {
    TensorType::fixed(DType::F32, dims)
}

/// What a product takes.
fn multiplied(
    (cost, ops): (&dyn Cost, &OpSet),
    (operands, result): (Vec<TensorType>, TensorType),
    (skips, beside): (bool, u64),
) -> u64 {
    let Some(def) = ops.get("MatMul") else { return 0 };
    let operands: Vec<Option<Fact>> = operands.into_iter().map(|ty| Some(Fact::of(ty))).collect();
    let (node, results) = (Node::new("MatMul", Vec::new()), [Fact::of(result)]);
    cost.picoseconds(&Applied { def, node: &node, operands: &operands, results: &results, skips, beside })
}

#[cfg(test)]
mod tests {
    use super::{floats, multiplied};
    use weft_ir::{DType, OpSet, TensorType};
    use weft_passes::{Applied, Cost, Speed};

    /// A machine that reads so many bytes of memory in a nanosecond.
    struct Reads(u64);

    impl Cost for Reads {
        fn picoseconds(&self, applied: &Applied<'_>) -> u64 {
            let speed = Speed {
                near: 64,
                far: self.0,
                operations: 96,
                coded: 56,
                bytes: 56,
                scattered: 38,
                launch: 0,
            };
            applied.work().picoseconds(&speed)
        }
    }

    #[test]
    fn skipping_rows_of_codes_pays_where_memory_is_slow() {
        let taken = |memory, (rows, skips)| {
            let codes = TensorType::fixed(DType::U4, &[rows, 1024]);
            let sides = (vec![floats(&[1, rows]), codes], floats(&[1, 1024]));
            multiplied((&Reads(memory), OpSet::builtin()), sides, (skips, 1 << 30))
        };
        let [all, most, half] = [(1024, false), (900, true), (512, true)];
        assert!(taken(5, most) < taken(5, all));
        assert!(taken(50, most) > taken(50, all));
        assert!(taken(50, half) < taken(50, all));
    }
}
