//! Second moments of what flows through a module, summed up over calibration data.
use crate::append::append;
use crate::measure::Measure;
use crate::pass::PassError;
use std::collections::BTreeMap;
use std::sync::Arc;
use weft_ir::{Attr, Graph, Module, OpSet, Tensor, Value};

/// `Xᵀ X` of values, their last axis that of the columns of `X` and all others its rows. The module
/// itself computes them, beside everything else, so that no more than a matrix leaves each run.
pub struct Moments {
    sums: BTreeMap<Value, Vec<f32>>,
}

impl Moments {
    /// Those of some values of the main graph, whose last extents must be fixed.
    ///
    /// # Errors
    /// If one of them has no fixed last extent, or the module cannot be run.
    pub fn of(
        measure: &dyn Measure,
        module: &Module,
        ops: &OpSet,
        values: &[Value],
    ) -> Result<Self, PassError> {
        let mut instrumented = module.clone();
        let mut taps = Vec::new();
        for value in values {
            taps.push(product(&mut instrumented.graph, *value, ops)?);
        }
        let mut sums: BTreeMap<Value, Vec<f32>> = BTreeMap::new();
        measure.stream(&instrumented, &taps, &mut |products| {
            for (value, product) in values.iter().zip(products) {
                let product = product.to_vec::<f32>().unwrap_or_default();
                let sum = sums.entry(*value).or_insert_with(|| vec![0.0; product.len()]);
                sum.iter_mut().zip(product).for_each(|(sum, x)| *sum += x);
            }
            Ok(())
        })?;
        Ok(Self { sums })
    }

    /// The moments of a value, row-major; empty if nobody asked for them.
    pub fn get(&self, value: Value) -> &[f32] {
        self.sums.get(&value).map_or(&[], Vec::as_slice)
    }
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
