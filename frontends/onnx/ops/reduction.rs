//! Reductions along axes.
use super::shape::axes_by_attribute;
use super::{Row, by, same};

pub(super) const ROWS: &[Row] = &[
    same("ArgMax", 1),
    same("ArgMin", 1),
    same("CumProd", 26),
    same("CumSum", 11),
    same("NegativeLogLikelihoodLoss", 12),
    by("ReduceL1", 1, axes_by_attribute),
    same("ReduceL1", 18),
    by("ReduceL2", 1, axes_by_attribute),
    same("ReduceL2", 18),
    by("ReduceLogSum", 1, axes_by_attribute),
    same("ReduceLogSum", 18),
    by("ReduceLogSumExp", 1, axes_by_attribute),
    same("ReduceLogSumExp", 18),
    by("ReduceMax", 1, axes_by_attribute),
    same("ReduceMax", 18),
    by("ReduceMean", 1, axes_by_attribute),
    same("ReduceMean", 18),
    by("ReduceMin", 1, axes_by_attribute),
    same("ReduceMin", 18),
    by("ReduceProd", 1, axes_by_attribute),
    same("ReduceProd", 18),
    by("ReduceSum", 1, axes_by_attribute),
    same("ReduceSum", 13),
    by("ReduceSumSquare", 1, axes_by_attribute),
    same("ReduceSumSquare", 18),
    same("SoftmaxCrossEntropyLoss", 12),
];
