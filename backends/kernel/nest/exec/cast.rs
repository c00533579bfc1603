//! Conversions of registers.
use super::value::{Value, of_float, of_int, to_float, to_int};
use super::{Fault, Result};
use crate::nest::Ty;
use weft_ir::{DType, types::Kind};

/// Converts to another element type, see [`crate::nest::Op::Cast`].
pub(super) fn cast(a: &Value, to: DType) -> Result<Value> {
    let from = a.ty.elem;
    if from.kind() == Kind::String || to.kind() == Kind::String {
        return Err(Fault::Form("texts are not converted".to_string()));
    }
    a.zip(a, to, |x, _| match (from.is_float(), to.is_float()) {
        (true, true) => of_float(to, to_float(from, x)?),
        (true, false) => Ok(of_int(to, float_to_int(to, to_float(from, x)?))),
        // Rounded once.
        (false, true) if to == DType::F32 => Ok((to_int(from, x) as f32).to_bits().into()),
        (false, true) => of_float(to, to_int(from, x) as f64),
        (false, false) => Ok(of_int(to, to_int(from, x))),
    })
}

fn float_to_int(to: DType, x: f64) -> i128 {
    let bits = to.bits();
    match to.kind() {
        Kind::Bool => i128::from(x != 0.0),
        Kind::Signed => (x as i128).clamp(-1 << (bits - 1), (1 << (bits - 1)) - 1),
        _ => (x as i128).clamp(0, (1 << bits) - 1),
    }
}

/// The same bits as another type.
pub(super) fn bitcast(a: &Value, ty: Ty) -> Result<Value> {
    let (from, to) = (a.ty.elem, ty.elem);
    let same = from.bits() * a.ty.lanes == to.bits() * ty.lanes;
    if !same || from == DType::Bool || to == DType::Bool {
        return Err(Fault::Form(format!("the bits of {} are taken for {ty}", a.ty)));
    }
    if from.bits() == to.bits() {
        return Ok(a.map(to, |x| super::value::extended(to, x)));
    }
    Ok(regrouped(a, ty))
}

/// The same bytes in lanes of another width; a lane is undefined where one of its bytes is.
fn regrouped(a: &Value, ty: Ty) -> Value {
    let (from, to) = (a.ty.elem.bits() as usize / 8, ty.elem.bits() as usize / 8);
    let bytes: Vec<u8> = a.bits.iter().flat_map(|bits| bits.to_le_bytes().into_iter().take(from)).collect();
    let lane = |bytes: &[u8]| bytes.iter().rev().fold(0, |bits, byte| bits << 8 | u64::from(*byte));
    let bits = bytes.chunks_exact(to).map(|bytes| super::value::extended(ty.elem, lane(bytes))).collect();
    let mut value = Value::new(ty, bits);
    for byte in (0..bytes.len()).filter(|byte| !a.is_defined(byte / from)) {
        value.mark_undefined(byte / to);
    }
    value
}

/// `0, 1, 2, ...`.
pub(super) fn iota(ty: Ty) -> Result<Value> {
    let lanes = (0..u64::from(ty.lanes)).map(|lane| match ty.elem.kind() {
        Kind::Float => of_float(ty.elem, lane as f64),
        _ => Ok(of_int(ty.elem, lane.into())),
    });
    Ok(Value::new(ty, lanes.collect::<Result<_>>()?))
}
