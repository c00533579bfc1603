//! What there is to say about a model without running it.
mod dot;
#[cfg(feature = "llvm")]
mod memory;
mod work;

pub use dot::dot;
#[cfg(feature = "llvm")]
pub use memory::{MemoryPlan, memory_plan};

use crate::dims::Dims;
use crate::ports::{Port, Ports};
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};
use weft_ir::{Attr, Dim, Graph, Module};

/// A summary of a module.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// What its file said: producer, licence and such.
    pub metadata: BTreeMap<String, String>,
    /// How far it has come.
    pub stage: &'static str,
    /// What goes in.
    #[serde(serialize_with = "ports")]
    pub inputs: Vec<Port>,
    /// What comes out.
    #[serde(serialize_with = "ports")]
    pub outputs: Vec<Port>,
    /// How often each operator is used, regions counted, constants left out.
    pub operators: BTreeMap<String, usize>,
    /// Nodes besides constants.
    pub nodes: usize,
    /// The constants.
    pub parameters: Parameters,
    /// Arithmetic of one run, at the extents.
    pub flops: Option<u64>,
    /// What symbolic extents were taken to be; 1 unless given.
    pub extents: Dims,
}

/// The constants of a module, equal ones counted once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Parameters {
    /// How many tensors.
    pub tensors: usize,
    /// How many elements.
    pub elements: u64,
    /// How many bytes.
    pub bytes: u64,
    /// Elements by type.
    pub types: BTreeMap<&'static str, u64>,
}

fn ports<S: Serializer>(ports: &[Port], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(
        ports.iter().map(|port| BTreeMap::from([("name", port.name.clone()), ("type", port.ty.to_string())])),
    )
}

/// Summarises a module.
pub fn summary(module: &Module, given: &Dims) -> Summary {
    let Ports { inputs, outputs } = Ports::of_graph(&module.graph);
    let mut operators = BTreeMap::new();
    each_graph(&module.graph, &mut |graph| {
        for id in graph.nodes().filter(|id| graph.node(*id).op != "Const") {
            *operators.entry(graph.node(id).op.to_string()).or_default() += 1;
        }
    });
    let extents = extents(module, given);
    Summary {
        metadata: module.metadata.clone(),
        stage: module.stage.name(),
        inputs,
        outputs,
        nodes: operators.values().sum(),
        operators,
        parameters: parameters(module),
        flops: work::flops(&module.graph, &extents),
        extents,
    }
}

/// The number of every symbol of the inputs: as given, or 1.
pub fn extents(module: &Module, given: &Dims) -> Dims {
    let symbols = crate::dims::symbols(module).into_iter();
    symbols.map(|name| (given.get(&name).copied().unwrap_or(1), name)).map(|(n, name)| (name, n)).collect()
}

/// A symbolic extent as a number.
pub(crate) fn number(dim: &Dim, extents: &Dims) -> Option<u64> {
    let of = |name: &str| extents.get(name).and_then(|n| i64::try_from(*n).ok());
    dim.eval(&of).and_then(|n| u64::try_from(n).ok())
}

fn parameters(module: &Module) -> Parameters {
    let (mut seen, mut sum) = (BTreeSet::new(), Parameters::default());
    each_graph(&module.graph, &mut |graph| {
        for attr in graph.nodes().flat_map(|id| graph.node(id).attrs.values()) {
            let Attr::Tensor(tensor) = attr else { continue };
            if !seen.insert(tensor.clone()) {
                continue;
            }
            sum.tensors += 1;
            sum.elements += tensor.len();
            sum.bytes += tensor.dtype().bytes(tensor.len()).unwrap_or(0);
            *sum.types.entry(tensor.dtype().name()).or_default() += tensor.len();
        }
    });
    sum
}

/// The main graph and those of control flow.
fn each_graph(main: &Graph, visit: &mut dyn FnMut(&Graph)) {
    let mut open = vec![main];
    while let Some(graph) = open.pop() {
        visit(graph);
        open.extend(graph.nodes().flat_map(|id| &graph.node(id).regions));
    }
}
