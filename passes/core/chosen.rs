//! Which linear layers of a model the options of a lossy pass choose.
use crate::editor::Editor;
use crate::linear::Linear;
use crate::options::{OptionError, OptionInfo, Options};
use crate::pass::Declined;
use crate::patterns::Names;
use weft_ir::infer::Facts;
use weft_ir::{Graph, NodeId, OpSet, Value};

/// The choice by the options `only`, `skip` (patterns of names) and `outputs` (a flag).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    only: Names,
    skip: Names,
    outputs: bool,
}

impl Chosen {
    /// The option `only`.
    pub const ONLY: OptionInfo = OptionInfo {
        name: "only",
        default: "*",
        help: "which layers: names of their results or matrices, with `*` for anything and `|` between",
    };
    /// The option `skip`.
    pub const SKIP: OptionInfo = OptionInfo { name: "skip", default: "", help: "which of them not" };

    /// Reads the three options.
    ///
    /// # Errors
    /// If `outputs` is neither `true` nor `false`.
    pub fn new(options: &Options) -> Result<Self, OptionError> {
        let names = |option| Names::new(options.text(option));
        Ok(Self { only: names("only"), skip: names("skip"), outputs: options.flag("outputs")? })
    }

    /// What `take` makes of each chosen layer of the main graph that has weights, in order; tells why
    /// other layers, and those that `take` declines, are left alone.
    pub fn layers<T>(
        &self,
        edit: &mut Editor<'_>,
        (facts, ops): (&Facts, &OpSet),
        take: &dyn Fn(&Graph, Linear) -> Result<T, Declined>,
    ) -> Vec<T> {
        let mut taken = Vec::new();
        for id in edit.graph.order() {
            let layer = self.layer(&edit.graph, (facts, ops), id);
            match layer.and_then(|layer| layer.map(|layer| take(&edit.graph, layer)).transpose()) {
                Ok(layer) => taken.extend(layer),
                Err(why) => {
                    let at = edit.graph.node(id).label().to_string();
                    edit.decline(&at, &why);
                }
            }
        }
        taken
    }

    /// Whether a layer that makes `output` of a constant is chosen.
    ///
    /// # Errors
    /// The reason why it is left alone.
    pub fn admits(&self, graph: &Graph, output: Value, weight: Value) -> Result<(), Declined> {
        let names = [graph.name_of(output), graph.name_of(weight)];
        if !names.iter().any(|name| self.only.hold(name)) || names.iter().any(|name| self.skip.hold(name)) {
            return Err("it was asked to be left alone".into());
        }
        match !self.outputs && graph.outputs().contains(&output) {
            true => Err("it makes an output of the model; `outputs=true` takes it, too".into()),
            false => Ok(()),
        }
    }

    fn layer(
        &self,
        graph: &Graph,
        (facts, ops): (&Facts, &OpSet),
        id: NodeId,
    ) -> Result<Option<Linear>, Declined> {
        let Some(layer) = Linear::of(graph, facts, ops, id)? else { return Ok(None) };
        self.admits(graph, layer.output(), layer.weight)?;
        Ok(Some(layer).filter(|layer| !layer.dims.contains(&0)))
    }
}
