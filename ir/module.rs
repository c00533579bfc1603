//! A whole model.
use crate::graph::Graph;
use std::collections::BTreeMap;
use std::fmt;

/// How far a module has come; it only moves forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// As the model file said it; ranks and extents may be unknown.
    Imported,
    /// One form for one meaning; every rank is known and every extent named.
    Canonical,
    /// Only operators the backend has kernels for, layouts fixed.
    Lowered,
}

impl Stage {
    /// All stages, in order.
    pub const ALL: [Stage; 3] = [Stage::Imported, Stage::Canonical, Stage::Lowered];

    /// The name in the written form.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Imported => "imported",
            Stage::Canonical => "canonical",
            Stage::Lowered => "lowered",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A model: its main graph, how far it has come, and what its file said about it.
#[derive(Debug, Clone)]
pub struct Module {
    /// How far it has come.
    pub stage: Stage,
    /// The main graph; graphs of control flow hang on their nodes.
    pub graph: Graph,
    /// What the file said: producer, licence and such.
    pub metadata: BTreeMap<String, String>,
}

impl Module {
    /// A module without metadata.
    pub fn new(stage: Stage, graph: Graph) -> Self {
        Self { stage, graph, metadata: BTreeMap::new() }
    }
}
