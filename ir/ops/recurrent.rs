//! Recurrent networks.
use super::extents::{agree, agree_all, ranked, same_dtype};
use super::rules::{attr, fail, int, op, opt, req, shaped, text};
use super::vision::one_of;
use crate::dim::Dim;
use crate::infer::Fact;
use crate::op::{AttrDef, AttrDefault, AttrKind, InferCx, InferError, OpDef};
use crate::types::DType;

type Facts = Result<Vec<Fact>, InferError>;

const ALPHA: AttrDef = attr("activation_alpha", AttrKind::Floats, AttrDefault::Absent);
const BETA: AttrDef = attr("activation_beta", AttrKind::Floats, AttrDefault::Absent);
const ACTIVATIONS: AttrDef = attr("activations", AttrKind::Strs, AttrDefault::Absent);
const CLIP: AttrDef = attr("clip", AttrKind::Float, AttrDefault::Absent);
const DIRECTION: AttrDef = text("direction", "forward");
const HIDDEN: AttrDef = attr("hidden_size", AttrKind::Int, AttrDefault::Absent);
const LAYOUT: AttrDef = int("layout", 0);

/// The table.
pub(crate) const OPS: &[OpDef] = &[
    OpDef {
        attrs: &[ALPHA, BETA, ACTIVATIONS, CLIP, DIRECTION, HIDDEN, int("input_forget", 0), LAYOUT],
        results: (1, 3),
        ..op(
            "LSTM",
            "Long short-term memory: all hidden states, the last one, and the last cell state.",
            &[
                req("X"),
                req("W"),
                req("R"),
                opt("B"),
                opt("sequence_lens"),
                opt("initial_h"),
                opt("initial_c"),
                opt("P"),
            ],
            lstm,
        )
    },
    OpDef {
        attrs: &[ALPHA, BETA, ACTIVATIONS, CLIP, DIRECTION, HIDDEN, LAYOUT, int("linear_before_reset", 0)],
        results: (1, 2),
        ..op(
            "GRU",
            "Gated recurrent units: all hidden states and the last one.",
            &[req("X"), req("W"), req("R"), opt("B"), opt("sequence_lens"), opt("initial_h")],
            gru,
        )
    },
    OpDef {
        attrs: &[ALPHA, BETA, ACTIVATIONS, CLIP, DIRECTION, HIDDEN, LAYOUT],
        results: (1, 2),
        ..op(
            "RNN",
            "A plain recurrent network: all hidden states and the last one.",
            &[req("X"), req("W"), req("R"), opt("B"), opt("sequence_lens"), opt("initial_h")],
            rnn,
        )
    },
];

fn lstm(cx: &InferCx<'_>) -> Facts {
    recurrent(cx, 4)
}

fn gru(cx: &InferCx<'_>) -> Facts {
    recurrent(cx, 3)
}

fn rnn(cx: &InferCx<'_>) -> Facts {
    recurrent(cx, 1)
}

/// What the operands tell about the extents of a recurrent network.
struct Extents {
    directions: Dim,
    steps: Dim,
    batch: Dim,
    hidden: Dim,
}

fn recurrent(cx: &InferCx<'_>, gates: i64) -> Facts {
    one_of(cx, "direction", &["forward", "reverse", "bidirectional"])?;
    let batch_first = match cx.attrs().int("layout") {
        0 => false,
        1 => true,
        other => return fail(format!("`layout` is {other}, expected 0 or 1")),
    };
    for other in [1, 2, 3, 5, 6, 7] {
        same_dtype(cx, 0, other)?;
    }
    if let Some(lengths) = cx.get(4)
        && lengths.dtype() != DType::I32
    {
        return fail(format!("`sequence_lens` has type {}, expected i32", lengths.dtype()));
    }
    let directions = if cx.attrs().str("direction") == "bidirectional" { 2 } else { 1 };
    check_activations(cx, gates, directions)?;
    let Extents { directions, steps, batch, hidden } = extents(cx, gates, directions, batch_first)?;
    let (all, last) = if batch_first {
        (vec![batch.clone(), steps, directions.clone(), hidden.clone()], vec![batch, directions, hidden])
    } else {
        (vec![steps, directions.clone(), batch.clone(), hidden.clone()], vec![directions, batch, hidden])
    };
    let ty = |dims: Vec<Dim>| {
        Fact::of(shaped(cx.operands[0].as_ref().map_or(DType::F32, Fact::dtype), Some(dims)))
    };
    let mut facts = vec![ty(all), ty(last.clone())];
    facts.extend((gates == 4).then(|| ty(last)));
    Ok(facts)
}

fn extents(cx: &InferCx<'_>, gates: i64, directions: i64, batch_first: bool) -> Result<Extents, InferError> {
    let (x, w, r) = (ranked(cx, 0, 3..=3)?, ranked(cx, 1, 3..=3)?, ranked(cx, 2, 3..=3)?);
    let directions = Dim::fixed(directions);
    let mut hidden = cx.attrs().int_opt("hidden_size").map_or_else(Dim::unknown, Dim::fixed);
    if let Some([d, rows, columns]) = r {
        agree(d, &directions, "directions of `R` and of the node")?;
        hidden = agree(columns, &hidden, "columns of `R` and the hidden size")?;
        agree(rows, &hidden.scale(gates), "rows of `R` and gates times the hidden size")?;
    }
    let (mut steps, mut batch) = (Dim::unknown(), Dim::unknown());
    if let Some([first, second, _]) = x {
        (steps, batch) =
            if batch_first { (second.clone(), first.clone()) } else { (first.clone(), second.clone()) };
    }
    if let Some([d, rows, columns]) = w {
        agree(d, &directions, "directions of `W` and of the node")?;
        agree(rows, &hidden.scale(gates), "rows of `W` and gates times the hidden size")?;
        if let Some([_, _, inputs]) = x {
            agree(columns, inputs, "columns of `W` and features of the operand")?;
        }
    }
    let state = match batch_first {
        true => vec![batch.clone(), directions.clone(), hidden.clone()],
        false => vec![directions.clone(), batch.clone(), hidden.clone()],
    };
    shaped_as(cx, 3, &[directions.clone(), hidden.scale(2 * gates)])?;
    shaped_as(cx, 4, std::slice::from_ref(&batch))?;
    shaped_as(cx, 5, &state)?;
    shaped_as(cx, 6, &state)?;
    shaped_as(cx, 7, &[directions.clone(), hidden.scale(3)])?;
    Ok(Extents { directions, steps, batch, hidden })
}

/// Operand `i`, if present, must have this shape.
fn shaped_as(cx: &InferCx<'_>, i: usize, dims: &[Dim]) -> Result<(), InferError> {
    let Some(found) = cx.get(i).and_then(Fact::dims) else { return Ok(()) };
    let name = cx.def.operands.get(i).map_or("", |o| o.name);
    agree_all(found, dims, &format!("found and expected extents of `{name}`")).map(|_| ())
}

/// What a gate may be put through.
pub const ACTIVATION_NAMES: &[&str] = &[
    "Relu",
    "Tanh",
    "Sigmoid",
    "Affine",
    "LeakyRelu",
    "ThresholdedRelu",
    "ScaledTanh",
    "HardSigmoid",
    "Elu",
    "Softsign",
    "Softplus",
];

fn check_activations(cx: &InferCx<'_>, gates: i64, directions: i64) -> Result<(), InferError> {
    let given = cx.attrs().strs("activations");
    let each = match gates {
        4 => 3,
        3 => 2,
        _ => 1,
    };
    if !given.is_empty() && given.len() as i64 != each * directions {
        return fail(format!("`activations` has {} entries, expected {}", given.len(), each * directions));
    }
    let known = |name: &String| ACTIVATION_NAMES.iter().any(|a| a.eq_ignore_ascii_case(name));
    match given.iter().find(|name| !known(name)) {
        Some(bad) => {
            fail(format!("`activations` holds `{bad}`, expected one of {}", ACTIVATION_NAMES.join(", ")))
        }
        None => Ok(()),
    }
}
