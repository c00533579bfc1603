//! Which tokens of a run are never masked.
use weft_ir::{Attr, Node, Tensor, Value};
use weft_passes::{OptionError, Options, node};

/// Puts a node of one result into a graph.
type Add<'a, E> = dyn FnMut(Node, &[Value]) -> Result<Value, E> + 'a;

/// Below every size.
const ALL: f32 = -1.0;

/// What becomes of runs of more than one token; a run of a single one is always masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prompt {
    /// Every token is masked.
    Masked,
    /// So many tokens, from the first on, are not.
    First(u32),
    /// None is masked.
    Dense,
}

impl Prompt {
    /// Reads the option `prompt`.
    pub(crate) fn new(options: &Options) -> Result<Self, OptionError> {
        match options.text("prompt") {
            "masked" | "0" => Ok(Prompt::Masked),
            "dense" => Ok(Prompt::Dense),
            other => other.parse().map(Prompt::First).map_err(|_| {
                OptionError::Refused(format!(
                    "option `prompt` cannot be `{other}`: expected `masked`, `dense` or how many tokens are not \
                     masked"
                ))
            }),
        }
    }

    /// Whether a row is left as it is where limits are set and layers are judged; `row` counts those of all
    /// sequences. Where prompts are dense, every token stands for one that comes alone.
    pub(crate) fn spares(self, row: usize, dims: &[u64]) -> bool {
        let tokens = dims.iter().rev().nth(1).map_or(1, |n| *n as usize);
        matches!(self, Prompt::First(first) if tokens > 1 && row % tokens < first as usize)
    }

    /// A bound on what inputs count for that all inputs of these tokens pass, which follow each other along
    /// the last axis but one. `add` puts nodes of one result into the graph that `input` is of.
    pub(crate) fn bound<E>(self, (input, bound): (Value, Value), add: &mut Add<'_, E>) -> Result<Value, E> {
        if self == Prompt::Masked {
            return Ok(bound);
        }
        let axis = constant(add, Tensor::scalar(-2i64))?;
        let shape = add(node("Shape", []), &[input])?;
        let tokens = add(node("Gather", []), &[shape, axis])?;
        let one = constant(add, Tensor::scalar(1i64))?;
        let mut spared = add(node("Greater", []), &[tokens, one])?;
        if let Prompt::First(first) = self {
            let zero = constant(add, Tensor::scalar(0i64))?;
            let places = add(node("Range", []), &[zero, tokens, one])?;
            let behind = constant(add, Tensor::vector(&[1i64]))?;
            let places = add(node("Unsqueeze", []), &[places, behind])?;
            let first = constant(add, Tensor::scalar(i64::from(first)))?;
            let early = add(node("Less", []), &[places, first])?;
            spared = add(node("And", []), &[early, spared])?;
        }
        let all = constant(add, Tensor::scalar(ALL))?;
        add(node("Where", []), &[spared, all, bound])
    }
}

fn constant<E>(add: &mut Add<'_, E>, tensor: Tensor) -> Result<Value, E> {
    add(node("Const", [("value", Attr::Tensor(std::sync::Arc::new(tensor)))]), &[])
}
