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
/// leaves each run. Those that were kept are lent first.
///
/// # Errors
/// If a value has no fixed last extent, the module cannot be run, or `visit` gives up.
pub fn moments(
    measure: &dyn Measure,
    (module, ops): (&Module, &OpSet),
    values: &[Value],
    visit: &mut dyn FnMut(Value, Vec<f32>) -> Result<(), PassError>,
) -> Result<(), PassError> {
    let findings = measure.findings(module);
    let mut open = Vec::new();
    for value in values {
        let columns = columns(&module.graph, *value)?;
        let kept = findings.get(&question(&module.graph, *value)).and_then(|kept| kept.first()?.to_vec());
        match kept.filter(|sum: &Vec<f32>| sum.len() as i64 == columns * columns) {
            Some(sum) => visit(*value, sum)?,
            None => open.push((*value, columns)),
        }
    }
    let mut instrumented = module.clone();
    let products = open
        .iter()
        .map(|(value, columns)| Ok(vec![product(&mut instrumented.graph, (*value, *columns), ops)?]));
    let products: Vec<Vec<Value>> = products.collect::<Result<_, PassError>>()?;
    let mut sums: BTreeMap<usize, Vec<f32>> = BTreeMap::new();
    measure.stream(&instrumented, &products, &mut |Tapped { group, last, .. }, found| {
        let found = found.first().and_then(|product| product.to_vec::<f32>()).unwrap_or_default();
        let mut sum = sums.remove(&group).unwrap_or_else(|| vec![0.0; found.len()]);
        sum.iter_mut().zip(found).for_each(|(sum, x)| *sum += x);
        if last {
            let (value, columns) = open[group];
            if let Ok(sum) = Tensor::from_slice(&[columns as u64; 2], &sum) {
                findings.put(&question(&module.graph, value), &[sum]);
            }
            return visit(value, sum);
        }
        sums.insert(group, sum);
        Ok(())
    })
}

fn question(graph: &Graph, value: Value) -> String {
    format!("second moments of %{}", graph.name_of(value))
}

/// The last extent of a value.
fn columns(graph: &Graph, value: Value) -> Result<i64, PassError> {
    let last = graph.ty(value).dims.as_ref().and_then(|dims| dims.last()?.as_fixed());
    let why = || format!("moments of `%{}`: its last extent is not fixed", graph.name_of(value));
    last.ok_or_else(|| PassError::Failed(why()))
}

/// Adds `Xᵀ X` of a value of so many columns to a graph.
fn product(graph: &mut Graph, (value, columns): (Value, i64), ops: &OpSet) -> Result<Value, PassError> {
    let shape = Arc::new(Tensor::vector(&[-1i64, columns]));
    let mut add = |op, attr, operands: &[Value]| append(graph, ops, (op, attr), operands);
    let shape = add("Const", Some(("value", Attr::Tensor(shape))), &[])?;
    let rows = add("Reshape", None, &[value, shape])?;
    let columns = add("Transpose", Some(("perm", Attr::Ints(vec![1, 0]))), &[rows])?;
    add("MatMul", None, &[columns, rows])
}
