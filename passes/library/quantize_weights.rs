//! Rounds the matrices of linear layers to codes of few bits.
//!
//! Before: `%y = MatMul(%x, %w)`. After: `%b = DequantizeLinear(%codes, %scale, %zero) {axis = 0,
//! block_size = 128}`, `%y = MatMul(%x, %b)` with `%codes : u4[K, N]`. Likewise `Gemm`, whose matrix
//! then lies inputs by outputs.
//!
//! `group` consecutive weights share a scale and a zero point: along the inputs of one output
//! (`dim=oc`, axis 0) or along the outputs of one input (`dim=ic`, axis 1); the last block of an axis
//! may be shorter, and 0 is the whole axis. With `dim=ada` each layer takes the way that errs less
//! on the calibration data, everything else exact, and `oc` where they are
//! equal: queries, keys and values are judged by what attention makes of them, the halves of a
//! gated net by what comes out of it, others by their own output. There a token that is larger than most
//! counts by how far it is off beside its size: the one that decoders use as a sink, hundreds of times as large
//! as the others, would decide alone. Last the whole model is measured with those layers along their outputs, with
//! the half and the quarter of them that gain most, with none and with all layers so, and the best of these is taken.
//!
//! `method=rtn` rounds to nearest; `method=gptq` lets later inputs make up for the rounding of earlier
//! ones, by the second moments of the calibration data in the exact model, with 1 % dampening and inputs in the
//! order of falling moments. 2 bits are stored as `u2`, 3 and 4 as `u4`, others as `u8`; `symmetric` codes as
//! `i2`, `i4` and `i8` without zero points.
//!
//! With `activations=int8` what such a matrix is multiplied with is rounded to bytes as it comes, each row by its
//! own largest number: `%s = Max(Div(ReduceMax(Abs(%x)), 127), 1e-30)`, `%q = QuantizeLinear(%x, %s) {axis = -1,
//! block_size = K, output_dtype = i8}`, `%a = DequantizeLinear(%q, %s) {axis = -1, block_size = K}`, `%y =
//! MatMul(%a, %b)`. Compiled code adds up integers then, where a group is a multiple of 32 weights along the
//! inputs, or all of them. Groups along the outputs have scales that change from one term of a sum to the next: there
//! it is the row times the scales of a group that is rounded, and the groups are matrices of codes side by side, `%b :
//! f32[G, K, n]`, with `n` columns each: `%t = Mul(%x[.., 1, 1, K], %scales[G, 1, K])`, `%a : f32[.., G, 1, K]` as
//! above of `%t`, `%m = MatMul(%a, %b)`, `%y = Reshape(%m)`. `n` divides the columns: it is less than `group` where
//! that leaves a rest, and where it is no multiple of 16 the activations stay `f32`. The scales are rounded to `f16`. The
//! error of each layer is that of its matrix; what activations add shows in that of the whole model.
//!
//! Convolutions, matrices that are not constants of `f32`, layers within control flow, and, unless
//! `outputs=true`, layers that make outputs of the model (such as the logits) are left alone. The
//! numbers change; the ledger says by how much.
//!
//! Kim et al., "Rethinking Channel Dimensions to Isolate Outliers for Low-bit Weight Quantization of
//! Large Language Models" (ICLR 2024); Frantar et al., "GPTQ" (ICLR 2023).
mod activations;
mod along;
mod columns;
mod whole;

use crate::forms::{Coded, Codes, Form, Method, On, Rounding, Way, errors};
use activations::{Activations, Input};
use weft_ir::infer::Facts;
use weft_ir::{OpSet, Stage};
use weft_numerics::{Along, Grid, Zero};
use weft_passes::{
    Chosen, Editor, Linear, OptionError, OptionInfo, Options, Outcome, Pass, PassContext, PassError,
    PassInfo, PassKind, Proposal, Rewriter, ValueError, facts_of,
};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "quantize-weights",
    summary: "rounds the matrices of linear layers to codes of few bits",
    options: &[
        OptionInfo { name: "bits", default: "4", help: "bits of a weight, 2 to 8" },
        OptionInfo {
            name: "group",
            default: "128",
            help: "how many weights share a scale; 0 for all along an axis",
        },
        OptionInfo {
            name: "dim",
            default: "oc",
            help: "`oc` for groups along the inputs of an output channel, `ic` along the outputs of an input \
                   channel, `ada` for what is better on the calibration data",
        },
        OptionInfo {
            name: "method",
            default: "rtn",
            help: "`rtn` rounds to nearest, `gptq` makes up for it in later inputs and needs calibration data",
        },
        OptionInfo {
            name: "activations",
            default: "f32",
            help: "`f32` for activations as they are, `int8` to round each row to bytes as it comes",
        },
        OptionInfo { name: "symmetric", default: "false", help: "whether there are no zero points" },
        Chosen::ONLY,
        Chosen::SKIP,
        OptionInfo {
            name: "outputs",
            default: "false",
            help: "whether layers that make outputs of the model are rounded, too",
        },
    ],
    kind: PassKind::Lossy,
    accepts: (Stage::Canonical, Stage::Lowered),
    build: &|options| Ok(Box::new(QuantizeWeights::new(options)?)),
};

/// The ways that `dim=ada` chooses from.
const WAYS: [Along; 2] = [Along::Inputs, Along::Outputs];

/// How the way of the blocks is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dim {
    Fixed(Along),
    Ada,
}

struct QuantizeWeights {
    rounding: Rounding,
    grid: Grid,
    dim: Dim,
    activations: Activations,
    chosen: Chosen,
}

impl QuantizeWeights {
    fn new(options: &Options) -> Result<Self, OptionError> {
        let bits = options.number("bits")?;
        if !(2..=8).contains(&bits) {
            return Err(OptionError::Refused(format!("option `bits` cannot be {bits}: expected 2 to 8")));
        }
        let grid = Grid { bits, zero: if options.flag("symmetric")? { Zero::Centre } else { Zero::Free } };
        let rounding = Rounding { group: options.number("group")?, method: Method::new(options)? };
        let refused = |name: &str, expected: &str| {
            let found = options.text(name);
            Err(OptionError::Refused(format!("option `{name}` cannot be `{found}`: expected {expected}")))
        };
        Ok(Self {
            rounding,
            grid,
            dim: match options.text("dim") {
                "oc" => Dim::Fixed(Along::Inputs),
                "ic" => Dim::Fixed(Along::Outputs),
                "ada" => Dim::Ada,
                _ => return refused("dim", "`oc`, `ic` or `ada`"),
            },
            activations: match options.text("activations") {
                "f32" => Activations::F32,
                "int8" => Activations::Int8,
                _ => return refused("activations", "`f32` or `int8`"),
            },
            chosen: Chosen::new(options)?,
        })
    }
}

impl Pass for QuantizeWeights {
    fn run(&self, edit: &mut Editor<'_>, cx: &PassContext<'_>) -> Result<Outcome, PassError> {
        let facts = facts_of(&edit.graph, cx.ops);
        let layers = self.chosen.layers(edit, (&facts, cx.ops), &|_, layer| Ok(layer));
        if layers.is_empty() {
            return Ok(edit.outcome());
        }
        let codes = self.codes(edit, cx, (&facts, &layers))?;
        let inputs = self.inputs(edit, cx.ops, (&layers, &codes));
        let coded: Vec<Coded> = codes.into_iter().map(Coded::Codes).collect();
        let forms: Vec<Vec<Form<'_>>> =
            coded.iter().map(|coded| vec![Form { coded: Some(coded), masked: None }]).collect();
        let errors = errors(cx, edit, (&facts, &layers), (&forms, On::All))?.into_iter().flatten();
        let proposal = |(((layer, coded), input), error)| self.proposal(layer, (coded, input), error);
        let proposals: Vec<Proposal<'_>> =
            layers.iter().zip(&coded).zip(inputs).zip(errors).map(proposal).collect();
        edit.propose(cx, &proposals)
    }
}

impl QuantizeWeights {
    /// The codes of each layer, in the way that it is given.
    fn codes(
        &self,
        edit: &Editor<'_>,
        cx: &PassContext<'_>,
        (facts, layers): (&Facts, &[Linear]),
    ) -> Result<Vec<Codes>, PassError> {
        let open = if let Dim::Fixed(along) = self.dim { vec![along] } else { WAYS.to_vec() };
        let ways: Vec<Way> = open.into_iter().map(|along| Way { grid: self.grid, along }).collect();
        let codes = self.rounding.codes(cx, edit, (facts, layers), &vec![ways; layers.len()])?;
        let taken = match self.dim {
            Dim::Fixed(_) => vec![0; layers.len()],
            Dim::Ada => {
                let measure = cx.judge_for("dim=ada")?;
                let errors = self.errors_in_scopes(measure, (edit, cx.ops), (facts, layers), &codes)?;
                whole::best(edit, (measure, cx.ops), (facts, layers), (&codes, &errors))?
            }
        };
        Ok(codes.into_iter().zip(taken).filter_map(|(all, way)| all.into_iter().nth(way)).collect())
    }

    /// What becomes of the input of each layer.
    fn inputs(
        &self,
        edit: &mut Editor<'_>,
        ops: &OpSet,
        (layers, codes): (&[Linear], &[Codes]),
    ) -> Vec<Input> {
        let mut inputs = Vec::new();
        for (layer, codes) in layers.iter().zip(codes) {
            inputs.push(self.activations.of((&edit.graph, ops), layer, codes).unwrap_or_else(|why| {
                let at = edit.graph.node(layer.node).label().to_string();
                edit.decline(&at, &why);
                Input::Numbers
            }));
        }
        inputs
    }

    fn proposal<'p>(
        &self,
        layer: &'p Linear,
        (coded, input): (&'p Coded, Input),
        error: ValueError,
    ) -> Proposal<'p> {
        let (method, bits) = (self.rounding.method.name(), self.grid.bits);
        let activations = if input != Input::Numbers { ", activations in i8" } else { "" };
        let what = format!("{coded}, {method}, {bits} bits{activations}");
        let apply = move |g: &mut Rewriter<'_>| input.put(g, layer, coded);
        Proposal { at: layer.node, what, error, apply: Box::new(apply) }
    }
}
