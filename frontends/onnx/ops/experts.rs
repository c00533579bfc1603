//! ONNX Runtime's mixtures of experts, in ordinary operators.
//!
//! Every expert becomes a network of its own that runs on the rows that chose it, and on none if none did:
//! ```text
//! %gates, %chosen = TopK(%router, k)
//! %at    = NonZero(Equal(%chosen, e))        which rows chose expert e, and as which of their k
//! %given = Gather(%x, %at[0])
//! %made  = fc2(activation(fc1(%given)))
//! %y     = ScatterND(%y, %at[0], %made * %gates[%at]) {reduction = add}
//! ```
//! Time is that of the work of chosen experts, and some small steps for each expert. This is also how loops over
//! experts come out of PyTorch, so that passes see one form.
//!
//! The meaning is that of ONNX Runtime's kernels for processors: without `normalize_routing_weights` gates are the
//! softmax over all experts, with it over the chosen ones; `QMoE` without `router_weights` always has the latter.
//! Where experts of a row tie, the one with the lower index is chosen.
mod layer;

use super::{Row, by};
use crate::call::{Call, Converted};
use layer::{Coding, Layer, Part};
use weft_frontend::Cause;
use weft_ir::{Attr, Tensor, Value};

pub(super) const ROWS: &[Row] =
    &[by("com.microsoft.MoE", 1, mixture), by("com.microsoft.QMoE", 1, coded_mixture)];

/// `MoE(input, router_probs, fc1, fc1_bias, fc2, fc2_bias, fc3, fc3_bias)`
fn mixture(call: &mut Call<'_, '_, '_>) -> Converted {
    let layer = |call: &Call<'_, '_, '_>, at: usize| Layer::plain(call, at, at + 1);
    let layers = [layer(call, 2)?, layer(call, 4)?, layer(call, 6)?];
    let routing = if call.attrs.int("normalize_routing_weights")? == Some(1) {
        Routing::OfChosen
    } else {
        Routing::OfAll
    };
    Mixture::read(call, layers)?.write(call, routing)
}

/// `QMoE(input, router_probs, fc1, scales, bias, fc2, scales, bias, fc3, scales, bias, zeros 1 to 3, router_weights)`
fn coded_mixture(call: &mut Call<'_, '_, '_>) -> Converted {
    if let Some(kind) = call.attrs.str("quant_type")?.filter(|kind| *kind != "int") {
        return Err(Cause::Unsupported(format!("`quant_type` = `{kind}`, only `int`")).into());
    }
    if call.attrs.int("weights_prepacked")? == Some(1) {
        return Err(Cause::unsupported("weights in an order that one processor wants").into());
    }
    if (15..call.operands.len()).any(|i| call.operand(i).is_some()) {
        return Err(Cause::unsupported("scales of activations").into());
    }
    // It allows coarser activations; they stay exact.
    call.attrs.ignore("accuracy_level");
    let bits = call.attrs.int("expert_weight_bits")?.unwrap_or(4);
    let block = call.attrs.int("block_size")?;
    let layer = |call: &Call<'_, '_, '_>, at: usize, zeros: usize, name: &str| {
        let bits = call.attrs.int(name)?.unwrap_or(bits);
        Layer::coded(call, at, Coding { scales: at + 1, zeros, bits, block })
    };
    let layers = [
        layer(call, 2, 11, "fc1_expert_weight_bits")?,
        layer(call, 5, 12, "fc2_expert_weight_bits")?,
        layer(call, 8, 13, "fc3_expert_weight_bits")?,
    ];
    let normalised = call.attrs.int("normalize_routing_weights")? == Some(1);
    let routing = match (call.operand(14), normalised) {
        (None, _) => Routing::OfChosen,
        (Some(weights), normalised) => Routing::Given { weights, normalised },
    };
    Mixture::read(call, layers)?.write(call, routing)
}

/// What the gates of the chosen experts are.
#[derive(Clone, Copy)]
enum Routing {
    /// The softmax over the chosen ones.
    OfChosen,
    /// Their part of the softmax over all.
    OfAll,
    /// Numbers of their own, which may have to be made to add up to 1.
    Given { weights: Value, normalised: bool },
}

/// What lies between the layers of an expert.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Activation {
    Identity,
    Relu,
    /// The square of it.
    Relu2,
    Gelu,
    Silu,
    /// `min(g, limit) * sigmoid(alpha * g) * (clip(l, -limit, limit) + beta)`
    SwiGlu {
        alpha: f32,
        beta: f32,
        limit: Option<f32>,
    },
    /// `gelu(g) * l`
    GeGlu,
}

impl Activation {
    fn read(call: &Call<'_, '_, '_>) -> Result<Self, Cause> {
        let name = call.attrs.str("activation_type")?.unwrap_or("relu");
        // These are about swiglu alone.
        let (alpha, beta) = (call.attrs.float("activation_alpha")?, call.attrs.float("activation_beta")?);
        let limit = call.attrs.float("swiglu_limit")?;
        Ok(match name {
            "identity" => Self::Identity,
            "relu" => Self::Relu,
            "relu2" => Self::Relu2,
            "gelu" => Self::Gelu,
            "silu" => Self::Silu,
            "swiglu" => Self::SwiGlu { alpha: alpha.unwrap_or(1.0), beta: beta.unwrap_or(0.0), limit },
            "geglu" => Self::GeGlu,
            _ => {
                return Err(Cause::Unsupported(format!(
                    "`activation_type` = `{name}`, only `relu`, `relu2`, `gelu`, `silu`, `identity`, `swiglu` and `geglu`"
                )));
            }
        })
    }

    fn is_gate(self) -> bool {
        matches!(self, Self::SwiGlu { .. } | Self::GeGlu)
    }

    /// The activation of one value.
    fn of(self, call: &mut Call<'_, '_, '_>, name: &str, x: Value) -> Result<Value, Cause> {
        let tanh = ("approximate", Attr::Str("tanh".to_string()));
        match self {
            Self::Identity => Ok(x),
            Self::Relu => call.step(name, "Relu", &[], &[x]),
            Self::Relu2 => {
                let relu = call.step(&format!("{name}/relu"), "Relu", &[], &[x])?;
                call.step(name, "Mul", &[], &[relu, relu])
            }
            Self::Gelu | Self::GeGlu => call.step(name, "Gelu", &[tanh], &[x]),
            Self::Silu => call.step(name, "Swish", &[], &[x]),
            Self::SwiGlu { alpha, limit, .. } => {
                let x = match limit {
                    Some(limit) => {
                        let most = call.number_like(&format!("{name}/limit"), limit, x)?;
                        call.step(&format!("{name}/limited"), "Min", &[], &[x, most])?
                    }
                    None => x,
                };
                call.step(name, "Swish", &[("alpha", Attr::Float(alpha))], &[x])
            }
        }
    }

    /// What a gate multiplies.
    fn linear(self, call: &mut Call<'_, '_, '_>, name: &str, mut x: Value) -> Result<Value, Cause> {
        let Self::SwiGlu { beta, limit, .. } = self else { return Ok(x) };
        if let Some(limit) = limit {
            let least = call.number_like(&format!("{name}/least"), -limit, x)?;
            let most = call.number_like(&format!("{name}/most"), limit, x)?;
            x = call.step(&format!("{name}/clipped"), "Clip", &[], &[x, least, most])?;
        }
        if beta != 0.0 {
            let beta = call.number_like(&format!("{name}/beta"), beta, x)?;
            x = call.step(&format!("{name}/moved"), "Add", &[], &[x, beta])?;
        }
        Ok(x)
    }
}

/// Where the gate and what it multiplies come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gating {
    /// There is no gate.
    None,
    /// From the first and the third layer.
    Apart,
    /// From rows of the first layer: all others, or its halves.
    Within([Part; 2]),
}

/// The experts of a node.
struct Mixture {
    /// How many there are.
    experts: i64,
    /// How many each row chooses.
    chosen: i64,
    activation: Activation,
    gating: Gating,
    layers: [Layer; 2],
    third: Option<Layer>,
}

impl Mixture {
    fn read(call: &Call<'_, '_, '_>, layers: [Option<Layer>; 3]) -> Result<Self, Cause> {
        let [first, second, third] = layers;
        let missing = |i: usize| move || Cause::Invalid(format!("the weights of layer {i} are missing"));
        let layers = [first.ok_or_else(missing(1))?, second.ok_or_else(missing(2))?];
        let (experts, chosen) = (layers[0].experts, call.attrs.int("k")?.unwrap_or(1));
        let all = layers.iter().chain(&third);
        if let Some(other) = all.map(|layer| layer.experts).find(|other| *other != experts) {
            return Err(Cause::Invalid(format!("layers of {experts} and of {other} experts")));
        }
        if !(1..=experts).contains(&chosen) {
            return Err(Cause::Invalid(format!("`k` = {chosen} of {experts} experts")));
        }
        call.only("use_sparse_mixer", 0)?;
        call.only("swiglu_limit_after_activation", 0)?;
        let activation = Activation::read(call)?;
        let fusion = call.attrs.int("swiglu_fusion")?.unwrap_or(0);
        let gating = match (activation.is_gate(), third.is_some(), fusion) {
            (false, false, _) => Gating::None,
            (false, true, _) | (true, true, 0) => Gating::Apart,
            (true, false, 1 | 2) if layers[0].rows % 2 == 1 => {
                return Err(Cause::Invalid(format!(
                    "{} rows of gates and what they multiply",
                    layers[0].rows
                )));
            }
            (true, false, 1) => Gating::Within([Part::Even, Part::Odd]),
            (true, false, 2) => Gating::Within([Part::FirstHalf, Part::SecondHalf]),
            (true, third, _) => {
                let third = if third { "a third layer" } else { "no third layer" };
                return Err(Cause::Invalid(format!("`swiglu_fusion` = {fusion} with {third}")));
            }
        };
        Ok(Self { experts, chosen, activation, gating, layers, third })
    }

    fn write(&self, call: &mut Call<'_, '_, '_>, routing: Routing) -> Converted {
        let x = call.need(0)?;
        let rows = self.rows(call, x)?;
        let (gates, chosen) = self.routed(call, routing)?;
        let shape = call.step("shape", "Shape", &[], &[rows])?;
        let nothing = call.number_like("nothing", 0.0, x)?;
        let mut sum = call.step("empty", "Expand", &[], &[nothing, shape])?;
        for expert in 0..self.experts {
            sum = self.add(call, expert, (rows, gates, chosen), sum)?;
        }
        if call.rank(x)? == 2 {
            return call.last("Identity", &[], &[Some(sum)]);
        }
        let shape = call.step("shape_of_tokens", "Shape", &[], &[x])?;
        call.last("Reshape", &[], &[Some(sum), Some(shape)])
    }

    /// The tokens as a matrix.
    fn rows(&self, call: &mut Call<'_, '_, '_>, x: Value) -> Result<Value, Cause> {
        match call.rank(x)? {
            2 => Ok(x),
            3 => {
                let shape = call.ints("rows/shape", &[-1, self.layers[1].rows])?;
                call.step("rows", "Reshape", &[], &[x, shape])
            }
            rank => Err(Cause::Invalid(format!("tokens of rank {rank}, expected 2 or 3"))),
        }
    }

    /// The gates of the chosen experts of each row, and which these are.
    fn routed(&self, call: &mut Call<'_, '_, '_>, routing: Routing) -> Result<(Value, Value), Cause> {
        let router = call.need(1)?;
        let last = [("axis", Attr::Int(-1))];
        match routing {
            Routing::OfChosen => {
                let (top, chosen) = self.best(call, router)?;
                Ok((call.step("gates", "Softmax", &last, &[top])?, chosen))
            }
            Routing::OfAll => {
                let all = call.step("chances", "Softmax", &last, &[router])?;
                self.best(call, all)
            }
            Routing::Given { weights, normalised } => {
                let (_, chosen) = self.best(call, router)?;
                let gates =
                    call.step("given", "GatherElements", &[("axis", Attr::Int(1))], &[weights, chosen])?;
                if !normalised {
                    return Ok((gates, chosen));
                }
                let axes = call.ints("axes", &[1])?;
                let sum = call.step("whole", "ReduceSum", &[], &[gates, axes])?;
                Ok((call.step("gates", "Div", &[], &[gates, sum])?, chosen))
            }
        }
    }

    /// The largest of each row, and where they are.
    fn best(&self, call: &mut Call<'_, '_, '_>, scores: Value) -> Result<(Value, Value), Cause> {
        let found = call.dims(scores)?.last().and_then(|dim| dim.as_fixed());
        if found.is_some_and(|found| found != self.experts) {
            return Err(Cause::Invalid(format!(
                "the router scores {} experts, the layers have {}",
                found.unwrap_or_default(),
                self.experts
            )));
        }
        let count = call.ints("k", &[self.chosen])?;
        let names = vec![call.name_inside("top"), call.name_inside("chosen")];
        let operands = vec![Some(scores), Some(count)];
        let found = call.emit("TopK", crate::call::owned(&[]), operands, names)?;
        Ok((found[0], found[1]))
    }

    /// Adds what an expert gives for the rows that chose it.
    fn add(
        &self,
        call: &mut Call<'_, '_, '_>,
        expert: i64,
        (rows, gates, chosen): (Value, Value, Value),
        sum: Value,
    ) -> Result<Value, Cause> {
        let name = |part: &str| format!("{expert}/{part}");
        let number = call.tensor(&name("number"), Tensor::scalar(expert))?;
        let chose = call.step(&name("chose"), "Equal", &[], &[chosen, number])?;
        let at = call.step(&name("at"), "NonZero", &[], &[chose])?;
        let first = call.tensor(&name("first"), Tensor::scalar(0i64))?;
        let row = call.step(&name("row"), "Gather", &[], &[at, first])?;
        let given = call.step(&name("given"), "Gather", &[], &[rows, row])?;
        let hidden = self.hidden(call, expert, given)?;
        let made = self.layers[1].apply(call, (expert, Part::All), "fc2", hidden)?;
        let at = call.step(&name("places"), "Transpose", &[("perm", Attr::Ints(vec![1, 0]))], &[at])?;
        let gate = call.step(&name("gate"), "GatherND", &[], &[gates, at])?;
        let last = call.ints(&name("last"), &[1])?;
        let gate = call.step(&name("weight"), "Unsqueeze", &[], &[gate, last])?;
        let made = call.step(&name("weighed"), "Mul", &[], &[made, gate])?;
        let row = call.step(&name("rows"), "Unsqueeze", &[], &[row, last])?;
        let adds = [("reduction", Attr::Str("add".to_string()))];
        call.step(&name("sum"), "ScatterND", &adds, &[sum, row, made])
    }

    /// What an expert's second layer takes.
    fn hidden(&self, call: &mut Call<'_, '_, '_>, expert: i64, x: Value) -> Result<Value, Cause> {
        let [first, _] = &self.layers;
        let (gate, linear) = match (self.gating, &self.third) {
            (Gating::Apart, Some(third)) => {
                let gate = first.apply(call, (expert, Part::All), "fc1", x)?;
                (gate, Some(third.apply(call, (expert, Part::All), "fc3", x)?))
            }
            (Gating::Within([gate, linear]), _) => {
                let gate = first.apply(call, (expert, gate), "fc1/gate", x)?;
                (gate, Some(first.apply(call, (expert, linear), "fc1/linear", x)?))
            }
            _ => (first.apply(call, (expert, Part::All), "fc1", x)?, None),
        };
        let gate = self.activation.of(call, &format!("{expert}/act"), gate)?;
        let Some(linear) = linear else { return Ok(gate) };
        let linear = self.activation.linear(call, &format!("{expert}/up"), linear)?;
        call.step(&format!("{expert}/hidden"), "Mul", &[], &[gate, linear])
    }
}
