//! Products, convolutions, pooling, sampling, transforms.
use super::{Row, by, renamed, same, with_operands};
use crate::call::{Call, Converted};
use weft_frontend::Cause;
use weft_ir::{Attr, Tensor};

pub(super) const ROWS: &[Row] = &[
    same("AveragePool", 1),
    same("Col2Im", 18),
    same("Conv", 1),
    same("ConvTranspose", 1),
    by("DFT", 17, dft_by_attribute),
    same("DFT", 20),
    same("DeformConv", 19),
    same("Det", 11),
    same("Einsum", 12),
    by("Gemm", 1, gemm),
    same("Gemm", 7),
    same("GlobalAveragePool", 1),
    same("GlobalLpPool", 2),
    same("GlobalMaxPool", 1),
    by("GridSample", 16, grid_sample),
    same("GridSample", 20),
    same("LpPool", 2),
    same("MatMul", 1),
    same("MaxPool", 1),
    same("MaxRoiPool", 1),
    same("MaxUnpool", 9),
    by("RoiAlign", 10, roi_align),
    same("RoiAlign", 16),
    same("STFT", 17),
];

/// Before opset 7 a flag said whether the third operand broadcasts, which its shape says, too.
fn gemm(call: &mut Call<'_, '_, '_>) -> Converted {
    call.attrs.ignore("broadcast");
    renamed(call, "Gemm")
}

/// Before opset 20 the axis was an attribute, 1 if not given.
fn dft_by_attribute(call: &mut Call<'_, '_, '_>) -> Converted {
    let axis = call.attrs.int("axis")?.unwrap_or(1);
    let axis = call.tensor("axis", Tensor::scalar(axis))?;
    let operands = vec![call.operand(0), call.operand(1), Some(axis)];
    with_operands(call, "DFT", operands)
}

/// The modes had other names before opset 20.
fn grid_sample(call: &mut Call<'_, '_, '_>) -> Converted {
    let mode = match call.attrs.str("mode")?.unwrap_or("bilinear") {
        "bilinear" => "linear",
        "bicubic" => "cubic",
        "nearest" => "nearest",
        other => return Err(Cause::Invalid(format!("`mode` = `{other}`")).into()),
    };
    let mut attrs = call.declared(call.builder.def("GridSample")?)?;
    attrs.insert("mode".to_string(), Attr::Str(mode.to_string()));
    call.finish("GridSample", attrs, call.operands.clone())
}

/// Before opset 16 pixels were counted from their corners.
fn roi_align(call: &mut Call<'_, '_, '_>) -> Converted {
    let mut attrs = call.declared(call.builder.def("RoiAlign")?)?;
    let corners = Attr::Str("output_half_pixel".to_string());
    attrs.insert("coordinate_transformation_mode".to_string(), corners);
    call.finish("RoiAlign", attrs, call.operands.clone())
}
