//! The type a value has when two sources speak of it.
use weft_ir::{Dim, TensorType, Value};

/// Whose word counts where both sides name an extent that is decided at run time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prefer {
    /// The type stated so far.
    Stated,
    /// The type found now.
    Found,
}

/// One type that says what both say, or what they contradict each other in.
pub(crate) fn settle(stated: &TensorType, found: &TensorType, prefer: Prefer) -> Result<TensorType, String> {
    let conflict = || format!("found type {found}, expected {stated}");
    if stated.dtype != found.dtype {
        return Err(conflict());
    }
    let (Some(a), Some(b)) = (&stated.dims, &found.dims) else {
        let dims = stated.dims.clone().or_else(|| found.dims.clone());
        return Ok(TensorType { dtype: stated.dtype, dims });
    };
    if a.len() != b.len() {
        return Err(conflict());
    }
    let dims: Option<Vec<Dim>> = a.iter().zip(b).map(|(a, b)| extent(a, b, prefer)).collect();
    Ok(TensorType::new(stated.dtype, dims.ok_or_else(conflict)?))
}

fn extent(stated: &Dim, found: &Dim, prefer: Prefer) -> Option<Dim> {
    let dim = match (stated.as_fixed(), found.as_fixed()) {
        (Some(a), Some(b)) if a != b => return None,
        (Some(_), _) => stated,
        (_, Some(_)) => found,
        _ if stated.is_unknown() => found,
        _ if found.is_unknown() => stated,
        _ => match (stated.is_decided_at_run_time(), found.is_decided_at_run_time()) {
            (true, false) => found,
            (true, true) if prefer == Prefer::Found => found,
            _ => stated,
        },
    };
    Some(dim.clone())
}

/// The type with every unknown extent named after the value and the axis.
pub(crate) fn named(mut ty: TensorType, name: &str) -> TensorType {
    for (axis, dim) in ty.dims.iter_mut().flatten().enumerate() {
        if dim.is_unknown() {
            *dim = Dim::symbol(&format!("?{name}.{axis}"));
        }
    }
    ty
}

/// Result `slot` of every node in turn.
pub(crate) fn results(node: weft_ir::NodeId, count: usize) -> impl Iterator<Item = Value> {
    (0..count as u32).map(move |slot| Value { node, slot })
}
