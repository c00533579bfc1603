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
    if from.bits() != to.bits() || a.ty.lanes != ty.lanes || from == DType::Bool || to == DType::Bool {
        return Err(Fault::Form(format!("the bits of {} are taken for {ty}", a.ty)));
    }
    Ok(a.map(to, |x| super::value::extended(to, x)))
}

/// `0, 1, 2, ...`.
pub(super) fn iota(ty: Ty) -> Result<Value> {
    let lanes = (0..u64::from(ty.lanes)).map(|lane| match ty.elem.kind() {
        Kind::Float => of_float(ty.elem, lane as f64),
        _ => Ok(of_int(ty.elem, lane.into())),
    });
    Ok(Value::new(ty, lanes.collect::<Result<_>>()?))
}
