//! What an import has to say besides the module.
use crate::error::Place;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Remarks about a model that was imported nevertheless, and what became of its operators.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// In the order of the file.
    pub warnings: Vec<Warning>,
    /// By the name of a value: the operator that made it in the file.
    pub operators: BTreeMap<String, Arc<str>>,
    /// By the name of a value: what the file says of the node whose first result it is.
    pub nodes: BTreeMap<String, NodeNote>,
}

/// What a file says of one node besides what it computes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeNote {
    /// Its name; may be empty.
    pub name: String,
    /// A remark; may be empty.
    pub doc: String,
}

/// Something odd that changes no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Where it is.
    pub place: Place,
    /// What was found.
    pub message: String,
}

impl Report {
    /// Adds a remark.
    pub fn warn(&mut self, place: Place, message: String) {
        self.warnings.push(Warning { place, message });
    }
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}
