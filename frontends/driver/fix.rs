//! Inputs of a model that become constants.
use crate::dims::{self, Dims};
use crate::error::Error;
use crate::tensors;
use std::path::Path;
use std::sync::Arc;
use weft_ir::types::Kind;
use weft_ir::{Attr, DType, Def, Module, Node, Tensor, TensorType, Value};
use weft_passes::{floats, integers};

/// Makes an input a constant: a number for all its elements, numbers with commas between them, or a
/// `.npy` or `.pb` file. Symbolic extents become those of the value.
pub fn fix_input(module: &mut Module, name: &str, value: &str) -> Result<(), Error> {
    let input = input(module, name)?;
    let wrong = |reason: String| Error::Inputs(format!("input `{name}` cannot be `{value}`: {reason}"));
    let ty = module.graph.ty(input).clone();
    let tensor = match Path::new(value).extension().is_some_and(|e| e == "npy" || e == "pb") {
        true => tensors::read_tensor(Path::new(value))?,
        false => parsed(value, &ty).map_err(wrong)?,
    };
    dims::fix(module, &extents(&tensor, &ty).map_err(wrong)?)?;
    replace(module, input, tensor);
    Ok(())
}

fn input(module: &Module, name: &str) -> Result<Value, Error> {
    let mut inputs = module.graph.inputs().iter().map(|id| Value { node: *id, slot: 0 });
    inputs.find(|value| module.graph.name_of(*value) == name).ok_or_else(|| {
        let inputs = module.graph.inputs().iter().map(|id| Value { node: *id, slot: 0 });
        let names: Vec<_> = inputs.map(|value| format!("`{}`", module.graph.name_of(value))).collect();
        Error::Inputs(format!("there is no input `{name}`, there are: {}", names.join(", ")))
    })
}

/// Numbers as a tensor of the type; one stands for all.
fn parsed(text: &str, ty: &TensorType) -> Result<Tensor, String> {
    let number = |item: &str| {
        let item = item.trim();
        match item {
            "true" => Ok(1.0),
            "false" => Ok(0.0),
            _ => item.parse::<f64>().map_err(|_| format!("`{item}` is not a number")),
        }
    };
    let numbers: Vec<f64> = text.split(',').map(number).collect::<Result<_, _>>()?;
    let dims = match (ty.static_dims(), ty.rank()) {
        (Some(dims), _) => dims,
        (None, Some(1)) => vec![numbers.len() as u64],
        _ => return Err(format!("its type is {ty}; `--dim` gives extents, or take a file")),
    };
    let count = usize::try_from(dims.iter().product::<u64>()).map_err(|_| format!("{ty} is too large"))?;
    let numbers = match numbers[..] {
        [one] => vec![one; count],
        _ if numbers.len() == count => numbers,
        _ => return Err(format!("found {} numbers, {ty} has {count}", numbers.len())),
    };
    made(ty.dtype, &dims, &numbers).ok_or_else(|| format!("not all of them are of type {}", ty.dtype))
}

fn made(dtype: DType, dims: &[u64], numbers: &[f64]) -> Option<Tensor> {
    if dtype.kind() == Kind::Float {
        return floats(dtype, dims, numbers);
    }
    let whole: Vec<i64> = numbers.iter().map(|n| *n as i64).collect();
    let exact = numbers.iter().zip(&whole).all(|(a, b)| *a == *b as f64);
    integers(dtype, dims, &whole).filter(|_| exact)
}

/// What symbolic extents are, for the tensor to have the type.
fn extents(tensor: &Tensor, ty: &TensorType) -> Result<Dims, String> {
    let found = TensorType::fixed(tensor.dtype(), tensor.dims());
    let mismatch = || format!("expected {ty}, found {found}");
    let dims = ty.dims.as_ref().ok_or_else(mismatch)?;
    if tensor.dtype() != ty.dtype || dims.len() != tensor.dims().len() {
        return Err(mismatch());
    }
    let mut extents = Dims::new();
    for (dim, extent) in dims.iter().zip(tensor.dims()) {
        match (dim.as_fixed(), dim.as_symbol()) {
            (Some(fixed), _) if u64::try_from(fixed) == Ok(*extent) => {}
            (None, Some(symbol)) => {
                if extents.insert(symbol.to_string(), *extent).is_some_and(|before| before != *extent) {
                    return Err(mismatch());
                }
            }
            _ => return Err(mismatch()),
        }
    }
    Ok(extents)
}

fn replace(module: &mut Module, input: Value, tensor: Tensor) {
    let graph = &mut module.graph;
    let ty = TensorType::fixed(tensor.dtype(), tensor.dims());
    let def = Def { name: graph.name_of(input).to_string(), ty };
    let node = Node::new("Const", vec![def]).with("value", Attr::Tensor(Arc::new(tensor)));
    let constant = graph.add(node, &[]);
    graph.redirect(input, Value { node: constant, slot: 0 });
    let place = graph.inputs().iter().position(|id| *id == input.node);
    graph.retain_inputs(&|i| Some(i) != place);
}
