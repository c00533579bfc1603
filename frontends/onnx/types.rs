//! Types as the file declares them.
use crate::proto::tensor_shape_proto::dimension;
use crate::proto::{TypeProto, type_proto};
use crate::tensor::dtype;
use weft_frontend::Cause;
use weft_ir::{Dim, MAX_RANK, TensorType};

/// What exporters write for an extent they do not know.
const UNKNOWN: &[&str] = &["", "?", "*", "-1", "None", "none", "unk"];

/// The type of a tensor; unknown extents and ranks stay unknown.
pub(crate) fn tensor_type(proto: &TypeProto) -> Result<TensorType, Cause> {
    let tensor = match &proto.value {
        Some(type_proto::Value::TensorType(tensor)) => tensor,
        Some(type_proto::Value::SequenceType(_)) => {
            return Err(Cause::unsupported("values that are sequences"));
        }
        Some(type_proto::Value::OptionalType(_)) => {
            return Err(Cause::unsupported("values that are optional"));
        }
        Some(type_proto::Value::MapType(_)) => return Err(Cause::unsupported("values that are maps")),
        Some(type_proto::Value::SparseTensorType(_)) => return Err(Cause::unsupported("sparse tensors")),
        Some(type_proto::Value::OpaqueType(_)) => return Err(Cause::unsupported("opaque values")),
        None => return Err(Cause::invalid("the type is not given")),
    };
    let dtype = dtype(tensor.elem_type())?;
    let Some(shape) = &tensor.shape else { return Ok(TensorType::unranked(dtype)) };
    within_rank(shape.dim.len())?;
    let dims = shape.dim.iter().map(|dim| extent(dim.value.as_ref())).collect::<Result<_, _>>()?;
    Ok(TensorType::new(dtype, dims))
}

/// Whether a tensor may have so many axes.
pub(crate) fn within_rank(rank: usize) -> Result<(), Cause> {
    if rank > MAX_RANK {
        return Err(Cause::unsupported(format!("{rank} axes, expected at most {MAX_RANK}")));
    }
    Ok(())
}

fn extent(value: Option<&dimension::Value>) -> Result<Dim, Cause> {
    match value {
        // Some exporters write -1 where the extent is open.
        Some(dimension::Value::DimValue(-1)) | None => Ok(Dim::unknown()),
        Some(dimension::Value::DimValue(n)) if *n >= 0 => Ok(Dim::fixed(*n)),
        Some(dimension::Value::DimValue(n)) => Err(Cause::invalid(format!("the shape has an extent of {n}"))),
        Some(dimension::Value::DimParam(name)) if UNKNOWN.contains(&name.trim()) => Ok(Dim::unknown()),
        // Names beginning with a question mark are those of extents decided at run time.
        Some(dimension::Value::DimParam(name)) => Ok(Dim::symbol(name.trim().trim_start_matches('?'))),
    }
}
