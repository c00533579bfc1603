//! Rounds the matrices of linear layers to codes of few bits.
//!
//! Before: `%y = MatMul(%x, %w)`. After: `%b = DequantizeLinear(%codes, %scale, %zero) {axis = 0,
//! block_size = 128}`, `%y = MatMul(%x, %b)` with `%codes : u4[K, N]`. Likewise `Gemm`, whose matrix
//! then lies inputs by outputs.
//!
//! `group` consecutive weights share a scale and a zero point: along the inputs of one output
//! (`dim=oc`, axis 0) or along the outputs of one input (`dim=ic`, axis 1); the last block of an axis
//! may be shorter, and 0 is the whole axis. With `dim=ada` each layer takes the way that errs less
//! on the calibration data, rounded to nearest, everything else exact, and `oc` where they are
//! equal: queries, keys and values are judged by what attention makes of them, the halves of a
//! gated net by what comes out of it, others by their own output. `method=rtn` rounds to nearest;
//! `method=gptq` lets later inputs make up for the rounding of earlier ones, by the second moments of
//! the calibration data in the exact model, with 1 % dampening and inputs in the order of falling
//! moments. 2 bits are stored as `u2`, 3 and 4 as `u4`, others as `u8`; `symmetric` codes as
//! `i2`, `i4` and `i8` without zero points.
//!
//! Convolutions, matrices that are not constants of `f32`, layers within control flow, and, unless
//! `outputs=true`, layers that make outputs of the model (such as the logits) are left alone. The
//! numbers change; the ledger says by how much.
//!
//! Kim et al., "Rethinking Channel Dimensions to Isolate Outliers for Low-bit Weight Quantization of
//! Large Language Models" (ICLR 2024); Frantar et al., "GPTQ" (ICLR 2023).
mod along;
mod coded;
mod rounded;
mod worth;

use coded::Coded;
use weft_ir::Stage;
use weft_numerics::{Along, Blocks, Grid, Zero};
use weft_passes::{
    Chosen, Editor, Linear, Measure, OptionError, OptionInfo, Options, Outcome, Pass, PassContext, PassError,
    PassInfo, PassKind, Proposal, facts_of,
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
        OptionInfo { name: "symmetric", default: "false", help: "whether there are no zero points" },
        OptionInfo {
            name: "only",
            default: "*",
            help: "which layers: names of their results or matrices, with `*` for anything and `|` between",
        },
        OptionInfo { name: "skip", default: "", help: "which of them not" },
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

/// How the way of the blocks is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dim {
    Fixed(Along),
    Ada,
}

/// How numbers become codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Rtn,
    Gptq,
}

struct QuantizeWeights {
    grid: Grid,
    group: usize,
    dim: Dim,
    method: Method,
    chosen: Chosen,
}

impl QuantizeWeights {
    fn new(options: &Options) -> Result<Self, OptionError> {
        let bits = options.number("bits")?;
        if !(2..=8).contains(&bits) {
            return Err(OptionError::Refused(format!("option `bits` cannot be {bits}: expected 2 to 8")));
        }
        let refused = |name: &str, expected: &str| {
            let found = options.text(name);
            Err(OptionError::Refused(format!("option `{name}` cannot be `{found}`: expected {expected}")))
        };
        Ok(Self {
            grid: Grid { bits, zero: if options.flag("symmetric")? { Zero::Centre } else { Zero::Free } },
            group: options.number("group")?,
            dim: match options.text("dim") {
                "oc" => Dim::Fixed(Along::Inputs),
                "ic" => Dim::Fixed(Along::Outputs),
                "ada" => Dim::Ada,
                _ => return refused("dim", "`oc`, `ic` or `ada`"),
            },
            method: match options.text("method") {
                "rtn" => Method::Rtn,
                "gptq" => Method::Gptq,
                _ => return refused("method", "`rtn` or `gptq`"),
            },
            chosen: Chosen::new(options)?,
        })
    }

    /// The blocks of a matrix that reach this way.
    fn blocks(&self, layer: &Linear, along: Along) -> Blocks {
        let extent = layer.dims[if along == Along::Inputs { 0 } else { 1 }];
        Blocks { along, size: if self.group == 0 { extent.max(1) } else { self.group.min(extent.max(1)) } }
    }
}

impl Pass for QuantizeWeights {
    fn run(&self, edit: &mut Editor<'_>, cx: &PassContext<'_>) -> Result<Outcome, PassError> {
        let facts = facts_of(&edit.graph, cx.ops);
        let layers = self.chosen.layers(edit, (&facts, cx.ops), &|_, layer| Ok(layer));
        if layers.is_empty() {
            return Ok(edit.outcome());
        }
        let along = match self.dim {
            Dim::Fixed(along) => vec![along; layers.len()],
            Dim::Ada => self.better_ways(cx.data_for("dim=ada")?, (edit, cx.ops), (&facts, &layers))?,
        };
        let coded = match self.method {
            Method::Rtn => self.rounded(&facts, &layers, &along)?,
            Method::Gptq => {
                self.compensated(cx.data_for("method=gptq")?, (edit, cx.ops), (&facts, &layers), &along)?
            }
        };
        let errors = worth::errors(cx, edit, (&facts, &layers), &coded)?;
        let proposal = |((layer, coded), error)| self.proposal(layer, coded, error);
        let proposals: Vec<Proposal<'_>> = layers.iter().zip(&coded).zip(errors).map(proposal).collect();
        edit.propose(cx, &proposals)
    }
}

impl QuantizeWeights {
    fn proposal<'p>(
        &self,
        layer: &'p Linear,
        coded: &'p Coded,
        error: weft_passes::ValueError,
    ) -> Proposal<'p> {
        let method = if self.method == Method::Rtn { "rtn" } else { "gptq" };
        let what = format!("{coded}, {method}, {} bits", self.grid.bits);
        Proposal { at: layer.node, what, error, apply: Box::new(move |g| coded.put(g, layer)) }
    }
}
