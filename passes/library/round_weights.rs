//! Rounds the weights of linear layers and of embeddings to floats of 16 bits.
//!
//! Before: `%y = MatMul(%x, %w)`. After: `%b = Cast(%h) {to = f32}`, `%y = MatMul(%x, %b)` with `%h : bf16[K, N]`, or
//! of more axes where there is a stack of matrices, as experts have. Likewise `Gemm`, whose matrix then lies inputs by
//! outputs. Before: `%y = Gather(%t, %ids)` of a constant with two axes or more. After: `%r = Gather(%h, %ids)`,
//! `%y = Cast(%r) {to = f32}`, so that only what is picked is widened.
//!
//! Weights are rounded to nearest, once; sums are those of `f32`, as before. `bf16` has the range of `f32` and 8 bits
//! of precision, `f16` has 11 of numbers up to 65504. Layers with a larger weight are left alone, since it would become
//! infinite; weights below 6e-8 become 0 in `f16`. Layers that make outputs of the model, such as the logits, are
//! rounded as well unless `outputs=false`, and so are tables of positions, which `skip` can name. Compiled code keeps
//! such constants narrow, but for the matrices of products that are known to have many rows, which take no longer with
//! `f32`.
//!
//! Left alone are weights that are numbers of the other type of 16 bits already, which would lose by another rounding
//! and are narrow as they are; filters of convolutions, which compiled code holds as `f32` whatever they were; and
//! biases, scales and layers within control flow. The ledger says how far off each layer and the model are.
//!
//! Micikevicius et al., "Mixed Precision Training" (ICLR 2018); Kalamkar et al., "A Study of BFLOAT16 for Deep Learning
//! Training" (2019).
mod operand;

use crate::forms::{Coded, Form, Half, Halves, On, errors, exact};
use operand::{Operand, of_operands};
use weft_ir::infer::Facts;
use weft_ir::{DType, Element, Graph, Module, NodeId, OpSet, Stage, Tensor};
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

/// Where there are weights to round.
enum Site {
    Linear(Linear),
    Operand(Operand),
}

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

    /// All that is chosen, in the order of the model; tells why the rest is left alone.
    fn sites(&self, edit: &mut Editor<'_>, (facts, ops): (&Facts, &OpSet)) -> Vec<Site> {
        let mut sites = Vec::new();
        for id in edit.graph.order() {
            match self.site(&edit.graph, (facts, ops), id) {
                Ok(site) => sites.extend(site),
                Err(why) => {
                    let at = edit.graph.node(id).label().to_string();
                    edit.decline(&at, &why);
                }
            }
        }
        sites
    }

    fn site(
        &self,
        graph: &Graph,
        (facts, ops): (&Facts, &OpSet),
        id: NodeId,
    ) -> Result<Option<Site>, Declined> {
        let constant = |at| facts.get(&graph.operand(id, at)?)?.constant.as_deref();
        if matches!(graph.node(id).op.as_str(), "Conv" | "ConvTranspose") && constant(1).is_some() {
            return Err("compiled code holds filters as f32, rounded or not".into());
        }
        if let Some(operand) = Operand::of(graph, facts, id) {
            let dtype = operand.numbers.dtype();
            if dtype != DType::F32 {
                return Err(format!("the weights are of {dtype}, not f32").into());
            }
            let Some(weight) = operand.weight(graph) else { return Ok(None) };
            self.chosen.admits(graph, operand.output(), weight)?;
            self.take(&operand.numbers)?;
            return Ok(Some(Site::Operand(operand)));
        }
        let Some(layer) = Linear::of(graph, facts, ops, id)? else { return Ok(None) };
        let Some(matrix) = constant(1).filter(|matrix| !matrix.is_empty()) else { return Ok(None) };
        self.chosen.admits(graph, layer.output(), layer.weight)?;
        self.take(matrix)?;
        Ok(Some(Site::Linear(layer)))
    }
}

/// What would be done to linear layers.
fn of_layers<'p>(
    (cx, module): (&PassContext<'_>, &Module),
    facts: &Facts,
    (layers, coded): (&'p [Linear], &'p [Coded]),
) -> Result<Vec<Proposal<'p>>, PassError> {
    let form = |coded| vec![Form { coded: Some(coded), masked: None }];
    let forms: Vec<Vec<Form<'_>>> = coded.iter().map(form).collect();
    let errors = errors(cx, module, (facts, layers), (&forms, On::All))?.into_iter().flatten();
    let proposal = |((layer, coded), error)| proposal(layer, coded, error);
    Ok(layers.iter().zip(coded).zip(errors).map(proposal).collect())
}

fn proposal<'p>(layer: &'p Linear, coded: &'p Coded, error: ValueError) -> Proposal<'p> {
    let apply = move |g: &mut Rewriter<'_>| coded.put(g, layer, None);
    Proposal { at: layer.node, what: coded.to_string(), error, apply: Box::new(apply) }
}

impl Pass for RoundWeights {
    fn run(&self, edit: &mut Editor<'_>, cx: &PassContext<'_>) -> Result<Outcome, PassError> {
        let facts = facts_of(&edit.graph, cx.ops);
        let sites = self.sites(edit, (&facts, cx.ops));
        if sites.is_empty() {
            return Ok(edit.outcome());
        }
        let (mut layers, mut operands) = (Vec::new(), Vec::new());
        for site in &sites {
            match site {
                Site::Linear(layer) => layers.push(*layer),
                Site::Operand(operand) => operands.push(operand),
            }
        }
        let places: Vec<usize> = (0..layers.len()).collect();
        let half = |matrix| Coded::Halves(Halves::new(matrix, self.to));
        let coded: Vec<Coded> = exact(&facts, &layers, &places)?.into_iter().map(half).collect();
        let mut of_layers = of_layers((cx, edit), &facts, (&layers, &coded))?.into_iter();
        let mut of_operands = of_operands((cx, edit), &operands, self.to)?.into_iter();
        let in_order = |site: &Site| match site {
            Site::Linear(_) => of_layers.next(),
            Site::Operand(_) => of_operands.next(),
        };
        let proposals: Vec<Proposal<'_>> = sites.iter().filter_map(in_order).collect();
        edit.propose(cx, &proposals)
    }
}
