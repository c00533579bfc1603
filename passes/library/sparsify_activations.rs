//! Lets inputs of linear layers be zero where they matter least, so that a kernel for one token reads
//! only the rows of the weights that are left.
//!
//! Before: `%y = MatMul(%x, %w)`. After: `%size = Abs(%x)`, `%passes = Greater(%size, %limit)`,
//! `%some = Where(%passes, %x, 0.0)`, `%y = MatMul(%some, %w)`.
//!
//! With `form=threshold` the limits come from calibration data: for `criterion=teal` one number a
//! layer, which the share `sparsity` of all its inputs does not pass (Liu et al., "Training-free
//! activation sparsity in large language models", ICLR 2025); for `criterion=wina` inputs count by
//! their size times the norm of what they are multiplied with, so that each channel has its own limit
//! (Chen et al., "WINA: weight informed neuron activation", 2025). With `form=topk` each token keeps
//! the share of its inputs that count most, and no data is needed; that is for studies of accuracy,
//! as finding them takes longer than they save. `prompt=masked` masks every token, `prompt=dense` only
//! those that come alone, `prompt=4` all but the first four of a longer run (along the last axis but one).
//! Decoders use the first token of a text as a sink: all others look back to it, what it carries is large and
//! cancels, and an error there is an error everywhere. Where the axes are those of the model, it lies in a few
//! channels that always pass; `orthogonalize` spreads it over all of them, so that masking it costs more than
//! masking all others does. What runs on a prompt and then token by token should have `dense` or some tokens.
//!
//! Every layer has the same sparsity with `allocate=uniform`. With `allocate=greedy` blocks have it:
//! the layers of one input with the one that they lead into, that is attention with the product
//! behind it, or a gated net. Within a block it grows step by step where that brings the least error
//! into what the block makes (Liu et al.); that takes some ten runs of the model more.
//!
//! Products whose right operand is not a constant matrix of `f32`, layers within control flow, inputs
//! that are masked already, layers that carry the residual stream itself (as `orthogonalize` leaves them) and,
//! unless `outputs=true`, layers that make outputs of the model (such as the logits) are left alone. Results change by what was dropped; the ledger says by how much.
mod greedy;

use crate::forms::{Form, Masked, On, Prompt, errors, norms, not_masked, not_residual, seen};
use greedy::Allocate;
use std::sync::Arc;
use weft_ir::infer::Facts;
use weft_ir::{Graph, Stage};
use weft_passes::{
    Chosen, Declined, Editor, Linear, OptionError, OptionInfo, Options, Outcome, Pass, PassContext,
    PassError, PassInfo, PassKind, Proposal, ValueError, facts_of,
};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "sparsify-activations",
    summary: "lets inputs of linear layers be zero where they matter least",
    options: &[
        OptionInfo { name: "sparsity", default: "0.5", help: "the share of inputs that become zero" },
        OptionInfo {
            name: "criterion",
            default: "wina",
            help: "`wina` counts inputs by their size times the norm of their weights, `teal` by their size",
        },
        OptionInfo {
            name: "form",
            default: "threshold",
            help: "`threshold` for limits from calibration data, `topk` for so many inputs a token",
        },
        OptionInfo {
            name: "allocate",
            default: "uniform",
            help: "`uniform` for the same sparsity everywhere, `greedy` for what costs each block least",
        },
        OptionInfo {
            name: "prompt",
            default: "masked",
            help: "`masked` for every token, `dense` for runs of a single one only, or how many of the first tokens of \
                   a longer run are not masked",
        },
        Chosen::ONLY,
        Chosen::SKIP,
        OptionInfo {
            name: "outputs",
            default: "false",
            help: "whether layers that make outputs of the model are masked, too",
        },
    ],
    kind: PassKind::Lossy,
    accepts: (Stage::Canonical, Stage::Lowered),
    build: &|options| Ok(Box::new(Sparsify::new(options)?)),
};

struct Sparsify {
    sparsity: f64,
    /// Whether inputs count by their weights, too.
    weighted: bool,
    topk: bool,
    allocate: Allocate,
    prompt: Prompt,
    chosen: Chosen,
}

impl Sparsify {
    fn new(options: &Options) -> Result<Self, OptionError> {
        let sparsity: f64 = options.number("sparsity")?;
        if !(0.0..1.0).contains(&sparsity) {
            let why = format!("option `sparsity` cannot be {sparsity}: expected 0 or more, below 1");
            return Err(OptionError::Refused(why));
        }
        let this = Self {
            sparsity,
            weighted: second(options, "criterion", ["teal", "wina"])?,
            topk: second(options, "form", ["threshold", "topk"])?,
            allocate: Allocate::new(options)?,
            prompt: Prompt::new(options)?,
            chosen: Chosen::new(options)?,
        };
        if this.topk && this.allocate == Allocate::Greedy {
            return Err(OptionError::Refused("`allocate=greedy` needs `form=threshold`".to_string()));
        }
        Ok(this)
    }
}

/// Whether an option is the second of two words.
fn second(options: &Options, name: &str, words: [&str; 2]) -> Result<bool, OptionError> {
    let found = options.text(name);
    let place = words.iter().position(|word| *word == found);
    let [a, b] = words;
    let wrong =
        || OptionError::Refused(format!("option `{name}` cannot be `{found}`: expected `{a}` or `{b}`"));
    Ok(place.ok_or_else(wrong)? == 1)
}

impl Pass for Sparsify {
    fn run(&self, edit: &mut Editor<'_>, cx: &PassContext<'_>) -> Result<Outcome, PassError> {
        let facts = facts_of(&edit.graph, cx.ops);
        let mut layers =
            self.chosen.layers(edit, (&facts, cx.ops), &|graph, layer| self.masked(graph, &facts, layer));
        if layers.is_empty() {
            return Ok(edit.outcome());
        }
        if !self.topk {
            let seen = seen(cx.data_for("form=threshold")?, edit, &layers)?;
            if self.allocate == Allocate::Greedy {
                let measure = cx.judge_for("allocate=greedy")?;
                greedy::allocate(measure, (edit, cx.ops, &facts), (&seen, self.sparsity), &mut layers)?;
            }
            layers = layers.into_iter().map(|layer| layer.limited(&seen)).collect();
        }
        let linears: Vec<Linear> = layers.iter().map(|layer| layer.layer).collect();
        let forms: Vec<Vec<Form<'_>>> =
            layers.iter().map(|layer| vec![Form { coded: None, masked: Some(layer) }]).collect();
        let errors = errors(cx, edit, (&facts, &linears), (&forms, On::All))?.into_iter().flatten();
        let proposals: Vec<Proposal<'_>> =
            layers.iter().zip(errors).map(|(layer, error)| self.proposal(layer, error)).collect();
        edit.propose(cx, &proposals)
    }
}

impl Sparsify {
    /// How a layer is to be masked.
    fn masked(&self, graph: &Graph, facts: &Facts, layer: Linear) -> Result<Masked, Declined> {
        not_masked(graph, &layer)?;
        not_residual(graph, &layer)?;
        let channel = self.weighted.then(|| Arc::new(norms(&layer.matrix(facts), layer.dims)));
        Ok(Masked { layer, channel, sparsity: self.sparsity, limit: None, prompt: self.prompt })
    }

    fn proposal<'p>(&'p self, masked: &'p Masked, error: ValueError) -> Proposal<'p> {
        let criterion = if self.weighted { "wina" } else { "teal" };
        let what = format!("{:.1} % of its inputs zero, by {criterion}", masked.sparsity * 100.0);
        Proposal { at: masked.layer.node, what, error, apply: Box::new(move |g| masked.put(g)) }
    }
}
