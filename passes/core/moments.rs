//! Second moments of what flows through a module, summed up over calibration data.
use crate::append::append;
use crate::measure::{Measure, Tapped};
use crate::pass::PassError;
use std::collections::BTreeMap;
use std::sync::Arc;
use weft_ir::{Attr, Graph, Module, OpSet, Tensor, Value};

/// Lends `visit` `Xᵀ X` of some values of the main graph, row-major, as soon as it is summed up over
/// all calibration inputs; the last axis of a value is that of the columns of `X` and all others its
/// rows. The module itself computes them, beside everything else, so that no more than a matrix
/// leaves each run.
///
/// # Errors
/// If a value has no fixed last extent, the module cannot be run, or `visit` gives up.
pub fn moments(
    measure: &dyn Measure,
    (module, ops): (&Module, &OpSet),
    values: &[Value],
    visit: &mut dyn FnMut(Value, Vec<f32>) -> Result<(), PassError>,
) -> Result<(), PassError> {
    let mut instrumented = module.clone();
    let mut products = Vec::new();
    for value in values {
        products.push(vec![product(&mut instrumented.graph, *value, ops)?]);
    }
    let mut sums: BTreeMap<usize, Vec<f32>> = BTreeMap::new();
    measure.stream(&instrumented, &products, &mut |Tapped { group, last, .. }, found| {
        let found = found.first().and_then(|product| product.to_vec::<f32>()).unwrap_or_default();
        let mut sum = sums.remove(&group).unwrap_or_else(|| vec![0.0; found.len()]);
        sum.iter_mut().zip(found).for_each(|(sum, x)| *sum += x);
        if last {
            return visit(values[group], sum);
        }
        sums.insert(group, sum);
        Ok(())
    })
}

/// Adds `Xᵀ X` of a value to a graph.
fn product(graph: &mut Graph, value: Value, ops: &OpSet) -> Result<Value, PassError> {
    let last = graph.ty(value).dims.as_ref().and_then(|dims| dims.last()?.as_fixed());
    let failed = |why: String| PassError::Failed(format!("moments of `%{}`: {why}", graph.name_of(value)));
    let columns = last.ok_or_else(|| failed("its last extent is not fixed".to_string()))?;
    let shape = Arc::new(Tensor::vector(&[-1i64, columns]));
    let mut add = |op, attr, operands: &[Value]| append(graph, ops, (op, attr), operands);
    let shape = add("Const", Some(("value", Attr::Tensor(shape))), &[])?;
    let rows = add("Reshape", None, &[value, shape])?;
    let columns = add("Transpose", Some(("perm", Attr::Ints(vec![1, 0]))), &[rows])?;
    add("MatMul", None, &[columns, rows])
}
