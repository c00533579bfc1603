//! Rounds the weights of linear layers and of embeddings to floats of 16 bits.
//!
//! Before: `%y = MatMul(%x, %w)`. After: `%b = Cast(%h) {to = f32}`, `%y = MatMul(%x, %b)` with `%h : bf16[K, N]`.
//! Likewise `Gemm`, whose matrix then lies inputs by outputs. Before: `%y = Gather(%t, %ids)` of a constant with two
//! axes or more. After: `%r = Gather(%h, %ids)`, `%y = Cast(%r) {to = f32}`, so that only what is picked is widened.
//!
//! Weights are rounded to nearest, once; sums are those of `f32`, as before. `bf16` has the range of `f32` and 8 bits
//! of precision, `f16` has 11 of numbers up to 65504. Layers with a larger weight are left alone, since it would become
//! infinite; weights below 6e-8 become 0 in `f16`. Layers that make outputs of the model, such as the logits, are
//! rounded as well unless `outputs=false`. Compiled code keeps such constants narrow, but for the matrices of products
//! that are known to have many rows, which take no longer with `f32`.
//!
//! Left alone are weights that are numbers of the other type of 16 bits already, which lose by another rounding and are
//! narrow as they are; convolutions and products with stacks of matrices, whose weights compiled code reads as `f32`,
//! so that they would be off for nothing; and biases, scales and layers within control flow, which are small. The
//! ledger says how far off each layer and the model are; the error of an embedding is that of the rows it picks.
//!
//! Micikevicius et al., "Mixed Precision Training" (ICLR 2018); Kalamkar et al., "A Study of BFLOAT16 for Deep Learning
//! Training" (2019).
mod tables;

use crate::forms::{Coded, Form, Half, Halves, errors, exact};
use weft_ir::infer::Facts;
use weft_ir::{Element, Stage, Tensor, Value};
use weft_passes::{
    Chosen, Declined, Editor, Linear, OptionError, OptionInfo, Options, Outcome, Pass, PassContext,
    PassError, PassInfo, PassKind, Proposal, Rewriter, ValueError, facts_of,
};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "round-weights",
    summary: "rounds the weights of linear layers and of embeddings to floats of 16 bits",
    options: &[
        OptionInfo { name: "to", default: "bf16", help: "`bf16` or `f16`" },
        Chosen::ONLY,
        Chosen::SKIP,
        OptionInfo {
            name: "outputs",
            default: "true",
            help: "whether layers that make outputs of the model are rounded, too",
        },
    ],
    kind: PassKind::Lossy,
    accepts: (Stage::Canonical, Stage::Lowered),
    build: &|options| Ok(Box::new(RoundWeights::new(options)?)),
};

struct RoundWeights {
    to: Half,
    chosen: Chosen,
}

impl RoundWeights {
    fn new(options: &Options) -> Result<Self, OptionError> {
        let to = match options.text("to") {
            "bf16" => Half::Bf16,
            "f16" => Half::F16,
            other => {
                let why = format!("option `to` cannot be `{other}`: expected `bf16` or `f16`");
                return Err(OptionError::Refused(why));
            }
        };
        Ok(Self { to, chosen: Chosen::new(options)? })
    }

    /// Whether some weights can be rounded, and gain by it.
    fn take(&self, weights: &Tensor) -> Result<(), Declined> {
        let numbers = || weights.data().chunks_exact(4).map(f32::read);
        let overflows = |x: &f32| x.is_finite() && self.to.nearest(*x).is_infinite();
        let (dtype, largest) = (self.to.dtype(), self.to.largest());
        if let Some(x) = numbers().find(overflows) {
            return Err(format!(
                "a weight is too large for `{dtype}`: found {x}, expected at most {largest} in size"
            )
            .into());
        }
        let holds = |half: Half| numbers().all(|x| half.nearest(x).to_bits() == x.to_bits());
        let other = self.to.other();
        match !holds(self.to) && holds(other) {
            true => Err(format!("its weights are numbers of `{}` already", other.dtype()).into()),
            false => Ok(()),
        }
    }

    /// The constant that a value is.
    fn weights(facts: &Facts, value: Value) -> Option<&Tensor> {
        facts.get(&value)?.constant.as_deref()
    }

    fn proposal<'p>(&self, layer: &'p Linear, coded: &'p Coded, error: ValueError) -> Proposal<'p> {
        let apply = move |g: &mut Rewriter<'_>| coded.put(g, layer, None);
        Proposal { at: layer.node, what: coded.to_string(), error, apply: Box::new(apply) }
    }
}

impl Pass for RoundWeights {
    fn run(&self, edit: &mut Editor<'_>, cx: &PassContext<'_>) -> Result<Outcome, PassError> {
        let facts = facts_of(&edit.graph, cx.ops);
        let layers = self.chosen.layers(edit, (&facts, cx.ops), &|_, layer| {
            Self::weights(&facts, layer.weight).map_or(Ok(()), |weights| self.take(weights))?;
            Ok(layer)
        });
        let tables = self.tables(edit, &facts);
        if layers.is_empty() && tables.is_empty() {
            return Ok(edit.outcome());
        }
        let places: Vec<usize> = (0..layers.len()).collect();
        let half = |matrix| Coded::Halves(Halves::new(matrix, self.to));
        let coded: Vec<Coded> = exact(&facts, &layers, &places)?.into_iter().map(half).collect();
        let forms: Vec<Vec<Form<'_>>> =
            coded.iter().map(|coded| vec![Form { coded: Some(coded), masked: None }]).collect();
        let of_layers = errors(cx, edit, (&facts, &layers), &forms)?.into_iter().flatten();
        let of_tables = self.errors_of_tables(cx, edit, &tables)?;
        let linear = layers.iter().zip(&coded).zip(of_layers);
        let linear = linear.map(|((layer, coded), error)| self.proposal(layer, coded, error));
        let picked = tables.iter().zip(of_tables).map(|(table, error)| table.proposal(self.to, error));
        let proposals: Vec<Proposal<'_>> = picked.chain(linear).collect();
        edit.propose(cx, &proposals)
    }
}
