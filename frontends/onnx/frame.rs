//! One body of nodes being read: a graph, or a function where it is called.
use crate::attributes::Bound;
use crate::model::{FunctionKey, Opsets};
use crate::proto::{NodeProto, TypeProto, ValueInfoProto};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use weft_ir::{Tensor, Value};

/// What a name of the model stands for.
#[derive(Debug, Clone)]
pub(crate) enum Binding {
    /// A value of the graph.
    Value(Value),
    /// Constant data that no node of the graph used yet.
    Weight(Arc<Tensor>),
    /// A sequence of values of the graph, known one by one.
    List(Rc<Vec<Value>>),
    /// An operand the caller of a function left out.
    Absent,
    /// Something that could not be read, which was reported.
    Broken,
}

/// What surrounds the nodes of a body.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings<'a> {
    /// The version of each domain.
    pub(crate) opsets: Rc<Opsets<'a>>,
    /// The attributes of the function.
    pub(crate) bound: Rc<Bound<'a>>,
    /// What stands before the names of inner values.
    pub(crate) path: Rc<str>,
    /// The functions being inlined, the outermost first.
    pub(crate) active: Rc<Vec<FunctionKey<'a>>>,
}

/// Where the results of an inlined body go.
#[derive(Debug)]
pub(crate) struct Exit<'a> {
    /// The node that stands for the body.
    pub(crate) node: &'a NodeProto,
    /// The names of the results inside.
    pub(crate) results: Vec<&'a str>,
}

/// A body and how far it was read.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) around: Surroundings<'a>,
    /// Nodes that were not read yet, the next one last.
    pub(crate) nodes: Vec<&'a NodeProto>,
    /// What each name stands for.
    pub(crate) names: BTreeMap<&'a str, Binding>,
    /// How values are to be called where that is not their own name.
    pub(crate) wanted: BTreeMap<&'a str, String>,
    /// What the file says about the types of values.
    pub(crate) hints: BTreeMap<&'a str, &'a TypeProto>,
    /// Where the results go when the body was read; the body of the graph itself has none.
    pub(crate) exit: Option<Exit<'a>>,
}

impl<'a> Frame<'a> {
    pub(crate) fn new(around: Surroundings<'a>) -> Self {
        Self {
            around,
            nodes: Vec::new(),
            names: BTreeMap::new(),
            wanted: BTreeMap::new(),
            hints: BTreeMap::new(),
            exit: None,
        }
    }

    /// Says where the results go, and that values inside take the names they will have outside.
    pub(crate) fn leads_to(&mut self, node: &'a NodeProto, results: Vec<&'a str>, outer: &Frame<'a>) {
        for (inner, outside) in results.iter().zip(&node.output).filter(|(_, outside)| !outside.is_empty()) {
            self.wanted.insert(inner, outer.wanted_name(outside));
        }
        self.exit = Some(Exit { node, results });
    }

    /// What the result `name` of a node is to be called.
    pub(crate) fn wanted_name(&self, name: &str) -> String {
        self.wanted.get(name).cloned().unwrap_or_else(|| format!("{}{name}", self.around.path))
    }

    pub(crate) fn add_hints(&mut self, infos: &'a [ValueInfoProto]) {
        let typed = infos.iter().filter_map(|info| Some((info.name(), info.r#type.as_ref()?)));
        self.hints.extend(typed);
    }
}
