//! Gives each linear layer the form that makes the whole model fastest within a bound on its error.
//!
//! Before: `%y = MatMul(%x, %w)`. After, in a layer that may be off: `%b = DequantizeLinear(%codes, %scale, %zero)` or
//! `%b = Cast(%half)`, `%y = MatMul(%x, %b)`, or `%y = MatMul(%some, %w)` where inputs that matter least are zero, as
//! `quantize-weights` and `sparsify-activations` have them; in others what there was.
//!
//! `menu` names the ways of rounding to choose from, `int4-oc` for 4 bits with scales shared along the inputs of an
//! output channel, `int4-ic` along the outputs of an input channel, `bf16` for numbers of 16 bits; `sparsity` the
//! shares of inputs that may be zero. Every form takes what the cost model of the target says for one token, and is
//! off by what its own output is at a sample of the calibration data. How much that moves the whole model is
//! measured, in as many runs as `trials` says: layers of one size that follow each other are tried together, all
//! others exact, and weighed by the divergence of the next tokens or else the relative error of the outputs. A
//! knapsack over all layers then takes the least time within a budget of such errors.
//!
//! The bound itself is about the whole model: `--max-error`, or the option `budget`, and if there are both both.
//! Choices for ever closer budgets are measured, and the same form in every layer as well, with zeros as long as
//! fewer of them hold; the fastest of all that are within the bound is taken, of those that differ by less than 2 %
//! in time the one that is off least, so that no uniform setting that holds is faster by the cost model. What is
//! taken is measured once more on the model as it will be compiled; the ledger tells of it and of all that was
//! tried. The forms of a layer are equal nodes of one e-graph in the end, of which one is taken.
//!
//! GPTQ's codes and the limits of masks are fitted to the calibration data, so that a bound which holds there is
//! missed on other data, by the more the fewer they are and the looser it is. With `--validate` every error is measured
//! on data that they are not fitted to, only chosen by: of SmolLM2 the perplexity on a third text grows by 4 % then
//! where 1.4 % are measured, and by 7.5 % where 4.4 % are (two windows to calibrate and two to validate with; without
//! validation by 10 % where 1.2 % are, and by 22 % where 4.2 % are).
//!
//! Products whose right operand is not a constant matrix of `f32`, inputs that are masked already and layers within
//! control flow are left alone. Unlike passes that do as they are told, this one takes layers that make outputs of
//! the model, too, unless `outputs=false`.
mod candidates;
mod menu;
mod search;
mod take;
mod time;

use crate::forms::{Method, not_masked};
use menu::Menu;
use search::Search;
use weft_ir::{Graph, Stage};
use weft_passes::{
    Chosen, Declined, Editor, ErrorBound, Linear, OptionError, OptionInfo, Options, Outcome, Pass,
    PassContext, PassError, PassInfo, PassKind, facts_of,
};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "choose",
    summary: "gives each linear layer the form that makes the model fastest within a bound on its error",
    options: &[
        OptionInfo {
            name: "menu",
            default: "f32|bf16|int8|int4-oc|int4-ic",
            help: "ways of rounding, with `|` between; exact layers are always among them",
        },
        OptionInfo {
            name: "sparsity",
            default: "0|0.25|0.5",
            help: "shares of inputs that may be zero, with `|` between",
        },
        OptionInfo {
            name: "group",
            default: "128",
            help: "how many weights share a scale, a multiple of 16; 0 for all along an axis",
        },
        OptionInfo {
            name: "method",
            default: "gptq",
            help: "`gptq` makes up for the rounding of earlier inputs in later ones, `rtn` rounds to nearest, as 8 \
                   bits always are",
        },
        OptionInfo {
            name: "budget",
            default: "",
            help: "the most error of the whole model, `mse:X`, `kl:X` or `ppl:X`, besides `--max-error`",
        },
        OptionInfo { name: "trials", default: "48", help: "runs, about, to find out what layers matter" },
        Chosen::ONLY,
        Chosen::SKIP,
        OptionInfo {
            name: "outputs",
            default: "true",
            help: "whether layers that make outputs of the model are chosen for, too",
        },
    ],
    kind: PassKind::Lossy,
    accepts: (Stage::Canonical, Stage::Lowered),
    build: &|options| Ok(Box::new(Choose::new(options)?)),
};

struct Choose {
    menu: Menu,
    group: usize,
    method: Method,
    budget: Option<ErrorBound>,
    trials: usize,
    chosen: Chosen,
}

/// Kernels read codes as they are where so many share a scale, or a multiple.
const WHOLE: usize = 16;

impl Choose {
    fn new(options: &Options) -> Result<Self, OptionError> {
        let group: usize = options.number("group")?;
        if !group.is_multiple_of(WHOLE) {
            let why = format!("option `group` cannot be {group}: expected a multiple of {WHOLE}, or 0");
            return Err(OptionError::Refused(why));
        }
        let budget = match options.text("budget") {
            "" => None,
            text => {
                Some(text.parse().map_err(|why| OptionError::Refused(format!("option `budget`: {why}")))?)
            }
        };
        Ok(Self {
            menu: Menu::new(options)?,
            group,
            method: Method::new(options)?,
            budget,
            trials: options.number("trials")?,
            chosen: Chosen::new(options)?,
        })
    }

    /// Whether a layer can be chosen for.
    fn take(&self, graph: &Graph, layer: Linear) -> Result<Linear, Declined> {
        not_masked(graph, &layer)?;
        let inputs = graph.ty(layer.input).dims.as_ref().and_then(|dims| dims.last()?.as_fixed());
        match inputs.is_some() || self.method == Method::Rtn {
            true => Ok(layer),
            false => Err("how many inputs it has is not fixed, as `method=gptq` needs".into()),
        }
    }

    /// What the error of the model must be within.
    fn bounds(&self, cx: &PassContext<'_>) -> Result<Vec<ErrorBound>, PassError> {
        let bounds: Vec<ErrorBound> = cx.bound.into_iter().chain(self.budget).collect();
        if bounds.is_empty() {
            let why = "`choose` needs a bound on the error of the model: give `--max-error mse:X`, `kl:X` or \
                       `ppl:X`, or the option `budget`";
            return Err(PassError::NotGiven(why.to_string()));
        }
        cx.can_tell(&bounds)?;
        Ok(bounds)
    }
}

impl Pass for Choose {
    fn run(&self, edit: &mut Editor<'_>, cx: &PassContext<'_>) -> Result<Outcome, PassError> {
        let (measure, bounds) = (cx.judge_for("choose")?, self.bounds(cx)?);
        let facts = facts_of(&edit.graph, cx.ops);
        let linears = self.chosen.layers(edit, (&facts, cx.ops), &|graph, layer| self.take(graph, layer));
        if linears.is_empty() || !edit.may_rewrite() {
            return Ok(edit.outcome());
        }
        let layers = self.candidates(cx, edit, (&facts, linears))?;
        let open = |masks| edit.trials((measure, cx.ops), (&facts, &layers.linears), masks);
        let mut search = Search::new((measure, &bounds), &layers, &open)?;
        for rounded in 0..=self.menu.ways() {
            for sparsity in 0..=self.menu.sparsity.len() {
                let item = [rounded, sparsity];
                // More zeros bring no model back that is out of bounds with fewer.
                if !search.uniform(&self.named(item), item)? {
                    break;
                }
            }
        }
        search.mixtures(self.trials)?;
        let decisions = take::decisions(cx, (&facts, &layers), &search);
        drop(search);
        edit.decide(cx, (measure, &bounds), &decisions)
    }
}
