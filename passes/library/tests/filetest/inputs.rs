//! Inputs made up from a seed, and the comparison of outputs.
use std::collections::BTreeMap;
use std::sync::Arc;
use weft_ir::types::Kind;
use weft_ir::{DType, Module, Tensor, TensorType, Value};
use weft_passes::{floats, integers};

/// What symbols are that the head does not set.
const EXTENTS: [i64; 4] = [2, 3, 5, 4];

/// One tensor per input.
pub(crate) fn seeded(module: &Module, symbols: &BTreeMap<String, i64>) -> Result<Vec<Arc<Tensor>>, String> {
    let graph = &module.graph;
    let mut known = symbols.clone();
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut tensors = Vec::new();
    for id in graph.inputs() {
        let ty = graph.ty(Value { node: *id, slot: 0 });
        for dim in ty.dims.iter().flatten() {
            for symbol in dim.symbols() {
                let next = EXTENTS[known.len() % EXTENTS.len()];
                known.entry(symbol.to_string()).or_insert(next);
            }
        }
        tensors.push(Arc::new(tensor(ty, &known, &mut state)?));
    }
    Ok(tensors)
}

fn tensor(ty: &TensorType, known: &BTreeMap<String, i64>, state: &mut u64) -> Result<Tensor, String> {
    let dims = ty.dims.iter().flatten().map(|d| d.eval(&|name: &str| known.get(name).copied()));
    let dims: Option<Vec<u64>> = dims.map(|d| d.and_then(|d| u64::try_from(d).ok())).collect();
    let dims = dims.ok_or(format!("no extents for {ty}"))?;
    let count = dims.iter().product::<u64>() as usize;
    let mut draw = || {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 40) as f64 / (1u64 << 24) as f64
    };
    let tensor = match ty.dtype.kind() {
        Kind::Float => floats(ty.dtype, &dims, &(0..count).map(|_| draw() * 8.0 - 4.0).collect::<Vec<_>>()),
        _ => integers(ty.dtype, &dims, &(0..count).map(|_| (draw() * 2.0) as i64).collect::<Vec<_>>()),
    };
    tensor.ok_or(format!("no inputs of type {}", ty.dtype))
}

/// Whether two tensors agree up to rounding.
pub(crate) fn close(expected: &Tensor, found: &Tensor, tolerance: f64) -> Result<(), String> {
    if (expected.dtype(), expected.dims()) != (found.dtype(), found.dims()) {
        let type_of = |t: &Tensor| TensorType::fixed(t.dtype(), t.dims());
        return Err(format!("expected {}, found {}", type_of(expected), type_of(found)));
    }
    let exact = expected.dtype().kind() != Kind::Float || expected.dtype() == DType::F8E8M0;
    if exact || expected.to_f64s().is_none() {
        return if expected == found { Ok(()) } else { Err("the elements differ".to_string()) };
    }
    let (a, b) = (expected.to_f64s().unwrap(), found.to_f64s().unwrap());
    for (i, (a, b)) in a.into_iter().zip(b).enumerate() {
        let near = (a - b).abs() <= tolerance * (1.0 + a.abs()) || a == b || (a.is_nan() && b.is_nan());
        if !near {
            return Err(format!("element {i}: expected {a}, found {b}"));
        }
    }
    Ok(())
}
