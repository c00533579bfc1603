//! Quantised numbers.
use super::{Row, same};

pub(super) const ROWS: &[Row] = &[
    same("ConvInteger", 10),
    same("DequantizeLinear", 10),
    same("DynamicQuantizeLinear", 11),
    same("MatMulInteger", 10),
    same("QLinearConv", 10),
    same("QLinearMatMul", 10),
    same("QuantizeLinear", 10),
];
