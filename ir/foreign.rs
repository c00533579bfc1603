//! Operators that a function outside weft computes: what their definition says of it.
//!
//! The definition gives the types of the results, so that no graph needs the function itself. The
//! interpreter calls the function that the plugin brings; compiled code is linked with the object
//! or archive that the definition names.
use crate::attr::Attr;
use crate::body;
use crate::dim::Dim;
use crate::graph::Node;
use crate::op::{InferError, OpDef};
use crate::tensor::Tensor;
use crate::text::Signature;
use crate::types::{DType, TensorType};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A function in this process that computes an operator.
pub trait ForeignFunction: Send + Sync {
    /// The results, one of each of these types, whose extents are numbers. Operands that are absent
    /// are `None`; attributes follow the operands, see [`ForeignCall::attrs`]. An error says why
    /// there are none.
    fn call(&self, inputs: &[Option<Arc<Tensor>>], results: &[TensorType]) -> Result<Vec<Tensor>, String>;
}

/// Finds functions by their symbols.
pub type FindFunction<'a> = &'a dyn Fn(&str) -> Option<Arc<dyn ForeignFunction>>;

/// What computes an operator, outside weft.
#[derive(Clone)]
pub struct Foreign {
    /// Lines `SYMBOL(%x: f32[N]) -> (f32[N])`, of which the first that fits the operands counts.
    pub(crate) signatures: Vec<String>,
    /// The object or archive that compiled code is linked with.
    pub code: PathBuf,
    pub(crate) functions: BTreeMap<String, Arc<dyn ForeignFunction>>,
}

impl fmt::Debug for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Foreign({:?} in {})", self.signatures, self.code.display())
    }
}

/// How one node calls its function.
#[derive(Debug, Clone)]
pub struct ForeignCall {
    /// The function.
    pub symbol: String,
    /// Types of the results; extents are those of the operands, or unknown where those are.
    pub results: Vec<TensorType>,
    /// The attributes, by name, as the function takes them behind the operands: an integer as
    /// `i64[]`, a float as `f32[]`, integers as `i64[n]`, a text as its bytes `u8[n]`, an element
    /// type as `i64[]` that holds `DLPack code << 8 | bits`.
    pub attrs: Vec<Arc<Tensor>>,
}

impl Foreign {
    /// The symbols of all functions.
    pub fn symbols(&self) -> impl Iterator<Item = &str> {
        self.signatures.iter().filter_map(|line| line.split('(').next()).map(str::trim)
    }

    /// The function of that symbol, if the plugin brought it into this process.
    pub fn function(&self, symbol: &str) -> Option<&dyn ForeignFunction> {
        self.functions.get(symbol).map(|function| &**function)
    }

    /// The same, with the functions that `find` gives, and with code that lies in `folder` where the
    /// definition does not say it in full. An error is a symbol that `find` does not know.
    pub fn placed(&self, folder: &Path, find: FindFunction<'_>) -> Result<Self, String> {
        let mut functions = BTreeMap::new();
        for symbol in self.symbols() {
            functions.insert(symbol.to_string(), find(symbol).ok_or(symbol)?);
        }
        Ok(Self { code: folder.join(&self.code), functions, signatures: self.signatures.clone() })
    }

    /// How a node calls its function, given the types of its operands.
    pub fn call(
        &self,
        def: &OpDef,
        node: &Node,
        operands: &[Option<TensorType>],
    ) -> Result<ForeignCall, InferError> {
        let attr = |name: &str| body::given(def, node, name);
        let mut reasons = Vec::new();
        for line in &self.signatures {
            let signature = body::filled(line, &attr)
                .and_then(|line| Signature::parse(&line).map_err(|error| error.to_string()));
            match signature.and_then(|signature| fitted(signature, def, operands)) {
                Ok((symbol, results)) => {
                    let attrs = def.attrs.iter().map(|at| as_operand(at.name, attr(at.name)));
                    let attrs = attrs.collect::<Result<_, _>>().map_err(InferError)?;
                    return Ok(ForeignCall { symbol, results, attrs });
                }
                Err(reason) => reasons.push(reason),
            }
        }
        Err(InferError(reasons.join("; and ")))
    }
}

/// The symbol and the types of the results, if the operands are those of the signature.
fn fitted(
    signature: Signature,
    def: &OpDef,
    operands: &[Option<TensorType>],
) -> Result<(String, Vec<TensorType>), String> {
    let mut names = BTreeMap::new();
    let mut whole = None;
    for (name, wanted) in &signature.operands {
        let place = def.operands.iter().position(|operand| operand.name == name);
        let found = place.and_then(|place| operands.get(place)).and_then(Option::as_ref);
        let found = found.ok_or_else(|| format!("operand `{name}` is missing"))?;
        fits(wanted, found, &mut names).map_err(|reason| format!("operand `{name}`: {reason}"))?;
        if wanted.dims.is_none() {
            whole.get_or_insert(found.dims.clone());
        }
    }
    let (found, expected) = (operands.iter().flatten().count(), signature.operands.len());
    if found != expected {
        return Err(format!("{found} operands, expected {expected}"));
    }
    let extent =
        |dim: &Dim| dim.substitute(&|name| Some(names.get(name).cloned().unwrap_or_else(Dim::unknown)));
    let result = |ty: &TensorType| TensorType {
        dtype: ty.dtype,
        dims: match &ty.dims {
            Some(dims) => Some(dims.iter().map(extent).collect()),
            None => whole.clone().flatten(),
        },
    };
    let results = signature.results.iter().map(result).collect();
    Ok((signature.symbol, results))
}

/// Whether an operand of type `found` may stand where `wanted` is declared; what is not known of it
/// is no reason against it.
fn fits(wanted: &TensorType, found: &TensorType, names: &mut BTreeMap<String, Dim>) -> Result<(), String> {
    let differ = || format!("found {found}, expected {wanted}");
    if wanted.dtype != found.dtype {
        return Err(differ());
    }
    let (Some(wanted_dims), Some(dims)) = (&wanted.dims, &found.dims) else { return Ok(()) };
    if wanted_dims.len() != dims.len() {
        return Err(differ());
    }
    for (wanted, dim) in wanted_dims.iter().zip(dims).filter(|(_, dim)| !dim.is_unknown()) {
        let same = match wanted.as_symbol() {
            Some(name) => names.entry(name.to_string()).or_insert_with(|| dim.clone()).same(dim),
            None => wanted.same(dim),
        };
        if !same {
            return Err(differ());
        }
    }
    Ok(())
}

/// An attribute as a function takes it.
fn as_operand(name: &str, attr: Option<Attr>) -> Result<Arc<Tensor>, String> {
    let tensor = match attr.ok_or_else(|| format!("attribute `{name}` has no value"))? {
        Attr::Int(x) => Tensor::scalar(x),
        Attr::Float(x) => Tensor::scalar(x),
        Attr::Ints(xs) => Tensor::vector(&xs),
        Attr::Str(text) => Tensor::vector(text.as_bytes()),
        Attr::Type(dtype) => Tensor::scalar(type_code(name, dtype)?),
        _ => return Err(format!("attribute `{name}` is of a kind that no function takes")),
    };
    Ok(Arc::new(tensor))
}

fn type_code(name: &str, dtype: DType) -> Result<i64, String> {
    let code = dtype.dlpack().ok_or_else(|| format!("attribute `{name}`: {dtype} has no code"))?;
    Ok(i64::from(code.0) << 8 | i64::from(code.1))
}
