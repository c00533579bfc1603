//! A model that fails made smaller, until nothing can be left out: delta debugging.
//!
//! Nodes go first, in large pieces and then one by one; what others need of them becomes an input. Then
//! outputs, nodes that can be bypassed, extents and weights. The same model gives the same result.
mod fault;
mod nodes;
mod piece;
mod shrink;

pub use fault::{Check, Fault};

use crate::driver::Driver;
use crate::error::Error;
use fault::Judge;
use weft_ir::Module;

/// How often everything is tried anew; each round ends with a smaller module or is the last.
const ROUNDS: usize = 8;

/// What is left of a model.
#[derive(Debug, Clone)]
pub struct Reduced {
    /// The smallest module found that fails.
    pub module: Module,
    /// How it fails.
    pub fault: Fault,
    /// How many smaller modules were tried.
    pub tried: usize,
}

/// Makes a module smaller that fails under a pipeline; `None` if it does not fail.
pub fn reduce(
    driver: &Driver,
    module: &Module,
    pipeline: &str,
    check: Check,
) -> Result<Option<Reduced>, Error> {
    let mut judge = Judge::new(driver, pipeline, check)?;
    let Some(fault) = judge.fault(module)? else { return Ok(None) };
    judge.expect(&fault);
    let mut module = module.clone();
    module.metadata.clear();
    let mut reduction = Reduction { judge, module, fault, tried: 0 };
    for _ in 0..ROUNDS {
        let before = reduction.size();
        reduction.nodes()?;
        reduction.outputs()?;
        reduction.bypass()?;
        reduction.symbols()?;
        reduction.extents()?;
        reduction.weights()?;
        if reduction.size() == before {
            break;
        }
    }
    let Reduction { module, fault, tried, .. } = reduction;
    Ok(Some(Reduced { module, fault, tried }))
}

/// A reduction on its way.
struct Reduction<'a> {
    judge: Judge<'a>,
    module: Module,
    fault: Fault,
    tried: usize,
}

impl Reduction<'_> {
    /// Takes a smaller module in the place of the present one, if it still fails in the same way.
    fn attempt(&mut self, smaller: Module) -> Result<bool, Error> {
        self.tried += 1;
        let Some(fault) = self.judge.fault(&smaller)? else { return Ok(false) };
        (self.module, self.fault) = (smaller, fault);
        Ok(true)
    }

    /// The present module with another graph.
    fn with(&self, graph: weft_ir::Graph) -> Module {
        Module { graph, ..self.module.clone() }
    }

    /// What a round should lower.
    fn size(&self) -> (usize, usize, u64) {
        let graph = &self.module.graph;
        let elements =
            graph.nodes().flat_map(|id| &graph.node(id).results).filter_map(|r| r.ty.static_dims());
        let elements = elements.map(|dims| dims.iter().fold(1u64, |n, d| n.saturating_mul(*d)));
        (graph.len(), graph.inputs().len() + graph.outputs().len(), elements.fold(0, u64::saturating_add))
    }
}
