//! The functions of all operators by name, one table per family.
use crate::call::Eval;
use crate::*;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The tables, one line each.
#[rustfmt::skip]
const FAMILIES: &[&[(&str, Eval)]] = &[
    arith::EVALS,
    attention::EVALS,
    cast::EVALS,
    constant::EVALS,
    einsum::EVALS,
    logic::EVALS,
    loss::EVALS,
    matmul::EVALS,
    norm::EVALS,
    quant::EVALS,
    random::EVALS,
    recurrent_attention::EVALS,
    reduce::EVALS,
    arrange::EVALS,
    conv::EVALS,
    create::EVALS,
    deform::EVALS,
    gather::EVALS,
    moving::EVALS,
    pool::EVALS,
    control::EVALS,
    recurrent::EVALS,
    region::EVALS,
    resize::EVALS,
    sample::EVALS,
    scatter::EVALS,
    select::EVALS,
    signal::EVALS,
    unary::ACTIVATIONS,
    unary::MATH,
];

/// The function of an operator.
pub(crate) fn eval_of(op: &str) -> Option<Eval> {
    static TABLE: LazyLock<BTreeMap<&str, Eval>> =
        LazyLock::new(|| FAMILIES.iter().flat_map(|family| family.iter().copied()).collect());
    TABLE.get(op).copied()
}
