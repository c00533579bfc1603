//! Recurrent layers; the canonical ones have time outermost (layout 0).
use super::{Row, by};
use crate::call::{Call, Converted};
use weft_frontend::Cause;
use weft_ir::{Attr, Value};

pub(super) const ROWS: &[Row] = &[by("GRU", 3, layer), by("LSTM", 1, layer), by("RNN", 1, layer)];

/// Operands that have the batch first in layout 1: the sequence and the initial states.
const BATCHED: &[usize] = &[0, 5, 6];

fn layer(call: &mut Call<'_, '_, '_>) -> Converted {
    let op = call.node.op_type();
    // Before opset 7 it told whether the sequence is wanted, which the names of the results tell, too.
    call.attrs.ignore("output_sequence");
    let attrs = call.declared(call.builder.def(op)?)?;
    match call.attrs.int("layout")?.unwrap_or(0) {
        0 => call.finish(op, attrs, call.operands.clone()),
        1 => batch_first(call, attrs),
        other => Err(Cause::Invalid(format!("`layout` = {other}")).into()),
    }
}

/// Layout 1: the layer between transposes.
fn batch_first(
    call: &mut Call<'_, '_, '_>,
    mut attrs: std::collections::BTreeMap<String, Attr>,
) -> Converted {
    let op = call.node.op_type();
    attrs.remove("layout");
    let mut operands = call.operands.clone();
    for i in BATCHED.iter().copied() {
        if let Some(value) = call.operand(i) {
            operands[i] = Some(transposed(call, &format!("operand{i}"), &[1, 0, 2], value)?);
        }
    }
    let names = call.result_names(op)?.iter().map(|name| format!("{name}/inner")).collect();
    let inner = call.emit(op, attrs, operands, names)?;
    let mut results = Vec::with_capacity(inner.len());
    for (i, value) in inner.into_iter().enumerate() {
        let perm: &[i64] = if i == 0 { &[2, 0, 1, 3] } else { &[1, 0, 2] };
        let name = call.result_name(i);
        results.push(call.named(name, "Transpose", &[("perm", Attr::Ints(perm.to_vec()))], &[value])?);
    }
    Ok(results)
}

fn transposed(call: &mut Call<'_, '_, '_>, what: &str, perm: &[i64], value: Value) -> Result<Value, Cause> {
    call.step(what, "Transpose", &[("perm", Attr::Ints(perm.to_vec()))], &[value])
}
