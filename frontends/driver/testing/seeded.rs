//! Inputs made up from a seed, small numbers all of them.
use std::collections::BTreeMap;
use std::sync::Arc;
use weft_ir::types::Kind;
use weft_ir::{Module, Tensor, TensorType, Value};
use weft_passes::floats;

/// What symbols are that nobody set.
const EXTENTS: [u64; 4] = [2, 3, 5, 4];

/// One tensor per input of a module: floats from -4 to 4, integers and truth values 0 or 1.
/// Symbols that `given` does not set get small numbers.
pub fn seeded_inputs(module: &Module, given: &BTreeMap<String, u64>) -> Result<Vec<Arc<Tensor>>, String> {
    inputs_of_seed(module, given, 0)
}

/// The same with other numbers for another seed.
pub(super) fn inputs_of_seed(
    module: &Module,
    given: &BTreeMap<String, u64>,
    seed: u64,
) -> Result<Vec<Arc<Tensor>>, String> {
    let graph = &module.graph;
    let mut known = given.clone();
    let mut draw = Draw(0x9e37_79b9_7f4a_7c15 ^ seed.wrapping_mul(0xbf58_476d_1ce4_e5b9));
    let mut tensors = Vec::new();
    for id in graph.inputs() {
        let ty = graph.ty(Value { node: *id, slot: 0 });
        for symbol in ty.dims.iter().flatten().flat_map(|dim| dim.symbols()) {
            let next = EXTENTS[known.len() % EXTENTS.len()];
            known.entry(symbol.to_string()).or_insert(next);
        }
        tensors.push(Arc::new(tensor(ty, &known, &mut draw)?));
    }
    Ok(tensors)
}

fn tensor(ty: &TensorType, known: &BTreeMap<String, u64>, draw: &mut Draw) -> Result<Tensor, String> {
    let of = |name: &str| known.get(name).and_then(|n| i64::try_from(*n).ok());
    let dims = ty.dims.iter().flatten().map(|d| d.eval(&of).and_then(|d| u64::try_from(d).ok()));
    let dims: Vec<u64> = dims.collect::<Option<_>>().ok_or(format!("no extents for {ty}"))?;
    let count = dims.iter().product::<u64>();
    let failed = || format!("no inputs of type {}", ty.dtype);
    if ty.dtype.kind() == Kind::Float {
        let elements: Vec<f64> = (0..count).map(|_| draw.next() * 8.0 - 4.0).collect();
        return floats(ty.dtype, &dims, &elements).ok_or_else(failed);
    }
    if ty.dtype.bits() < 8 {
        return Err(failed());
    }
    let size = ty.dtype.bits() as usize / 8;
    let element = |value: f64| (value as u64).to_le_bytes().into_iter().take(size);
    let data: Vec<u8> = (0..count).flat_map(|_| element(draw.next() * 2.0)).collect();
    Tensor::new(ty.dtype, dims, data.into()).map_err(|error| error.to_string())
}

/// Numbers from 0 to 1 that look random.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / (1u64 << 24) as f64
    }
}
