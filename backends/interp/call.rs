//! One evaluation of one operator: what it sees and how it fails.
use crate::array::Array;
use std::collections::BTreeMap;
use std::sync::Arc;
use thiserror::Error;
use weft_ir::tensor::element_count;
use weft_ir::{Attr, Attrs, DType, Node, Tensor, TensorError};

/// Computes the results of a node.
pub(crate) type Eval = fn(&Call<'_>) -> Result<Vec<Tensor>, EvalError>;

/// The number behind each name of an extent.
pub type Symbols = BTreeMap<Arc<str>, i64>;

/// Why a module could not be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EvalError {
    /// The interpreter has no function for this operator.
    #[error("the interpreter does not know this operator")]
    UnknownOp,
    /// A tensor would have more elements than the caller allows.
    #[error("a tensor of shape {dims:?} is larger than the {budget} elements allowed")]
    TooLarge {
        /// Its shape.
        dims: Vec<u64>,
        /// The limit.
        budget: u64,
    },
    /// An operand, input or result is not what it should be.
    #[error("{0}")]
    Wrong(String),
    /// Bytes and shape of a tensor disagree.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// An error within a node.
    #[error("`{op}` at `%{at}`: {cause}")]
    At {
        /// The operator.
        op: String,
        /// The name of its first result.
        at: String,
        /// What happened there.
        cause: Box<EvalError>,
    },
}

/// The error of that text.
pub(crate) fn wrong<T>(message: impl Into<String>) -> Result<T, EvalError> {
    Err(EvalError::Wrong(message.into()))
}

impl From<weft_ir::InferError> for EvalError {
    fn from(error: weft_ir::InferError) -> Self {
        EvalError::Wrong(error.0)
    }
}

/// Runs the graphs that hang on a node.
pub(crate) trait Regions {
    /// The outputs of region `index` for these inputs.
    fn run(&self, index: usize, inputs: Vec<Arc<Tensor>>) -> Result<Vec<Arc<Tensor>>, EvalError>;
}

/// One evaluation of one node.
pub(crate) struct Call<'a> {
    /// The node.
    pub(crate) node: &'a Node,
    /// Its attributes with defaults.
    pub(crate) attrs: Attrs<'a>,
    /// Its operands; never shorter than the definition's list of non-variadic operands.
    pub(crate) operands: &'a [Option<Arc<Tensor>>],
    /// The names of extents that are bound so far.
    pub(crate) symbols: &'a Symbols,
    /// No tensor may have more elements than this.
    pub(crate) budget: u64,
    /// The graphs that hang on the node.
    pub(crate) regions: &'a dyn Regions,
}

impl<'a> Call<'a> {
    /// Operand `i`, if present.
    pub(crate) fn get(&self, i: usize) -> Option<&'a Tensor> {
        self.operands.get(i).and_then(|t| t.as_deref())
    }

    /// Operand `i`, which must be present.
    pub(crate) fn need(&self, i: usize) -> Result<&'a Tensor, EvalError> {
        let name = self.attrs.def.operands.get(i).map_or("", |o| o.name);
        self.get(i).ok_or_else(|| EvalError::Wrong(format!("operand {i} `{name}` is missing")))
    }

    /// The element type of operand `i`.
    pub(crate) fn dtype(&self, i: usize) -> Result<DType, EvalError> {
        Ok(self.need(i)?.dtype())
    }

    /// Operand `i` as floats.
    pub(crate) fn floats(&self, i: usize) -> Result<Array<f64>, EvalError> {
        Array::floats(self.need(i)?)
    }

    /// Operand `i` as floats, if present.
    pub(crate) fn floats_opt(&self, i: usize) -> Result<Option<Array<f64>>, EvalError> {
        self.get(i).map(Array::floats).transpose()
    }

    /// Operand `i` as integers.
    pub(crate) fn ints(&self, i: usize) -> Result<Array<i128>, EvalError> {
        Array::ints(self.need(i)?)
    }

    /// Operand `i` as integers, if present.
    pub(crate) fn ints_opt(&self, i: usize) -> Result<Option<Array<i128>>, EvalError> {
        self.get(i).map(Array::ints).transpose()
    }

    /// The elements of an operand that holds extents, axes or the like, if present.
    pub(crate) fn list_opt(&self, i: usize) -> Result<Option<Vec<i64>>, EvalError> {
        let Some(tensor) = self.get(i) else { return Ok(None) };
        let list = tensor.to_i64s();
        list.map(Some).ok_or_else(|| EvalError::Wrong(format!("operand {i} holds no 64-bit integers")))
    }

    /// The elements of an operand that holds extents, axes or the like.
    pub(crate) fn list(&self, i: usize) -> Result<Vec<i64>, EvalError> {
        self.need(i)?;
        Ok(self.list_opt(i)?.unwrap_or_default())
    }

    /// The only element of an operand that holds a number.
    pub(crate) fn scalar(&self, i: usize) -> Result<f64, EvalError> {
        match self.floats(i)?.data.as_slice() {
            [x] => Ok(*x),
            _ => wrong(format!("operand {i} holds {} elements, expected one", self.need(i)?.len())),
        }
    }

    /// A tensor attribute.
    pub(crate) fn tensor_attr(&self, name: &str) -> Option<&'a Arc<Tensor>> {
        match self.node.attrs.get(name) {
            Some(Attr::Tensor(tensor)) => Some(tensor),
            _ => None,
        }
    }

    /// The number of elements of a shape, if the budget allows it. To be asked before memory is
    /// taken for a shape that the values of operands decide.
    pub(crate) fn room(&self, dims: &[usize]) -> Result<usize, EvalError> {
        let dims: Vec<u64> = dims.iter().map(|d| *d as u64).collect();
        // Extents beside a zero must be countable too: parts of the shape are multiplied on their own.
        let solid: Vec<u64> = dims.iter().map(|d| (*d).max(1)).collect();
        match element_count(&solid).filter(|n| *n <= self.budget) {
            Some(_) => Ok(dims.iter().product::<u64>() as usize),
            None => Err(EvalError::TooLarge { dims, budget: self.budget }),
        }
    }

    /// The outputs of region `index` for these inputs.
    pub(crate) fn run_region(
        &self,
        index: usize,
        inputs: Vec<Arc<Tensor>>,
    ) -> Result<Vec<Arc<Tensor>>, EvalError> {
        self.regions.run(index, inputs)
    }
}
