//! Attention and what belongs to it.
use super::check::{Types, alike, attr_text, attr_type, operand, optional, ranked, same_extent, typed};
use super::rules::{attr, fail, float, int, op, opt, req, shaped, text};
use crate::dim::Dim;
use crate::infer::Fact;
use crate::op::{AttrDef, AttrDefault, AttrKind, InferCx, InferError, OpDef, OperandDef, one};
use crate::types::{DType, TensorType};

const PRECISION: AttrDef = attr("softmax_precision", AttrKind::Type, AttrDefault::Absent);
const SCALE: AttrDef = attr("scale", AttrKind::Float, AttrDefault::Absent);

const fn heads(name: &'static str, default: AttrDefault) -> AttrDef {
    attr(name, AttrKind::Int, default)
}

const ATTENTION: &[OperandDef] = &[
    req("Q"),
    req("K"),
    req("V"),
    opt("attn_mask"),
    opt("past_key"),
    opt("past_value"),
    opt("nonpad_kv_seqlen"),
];

/// The table.
pub(crate) const OPS: &[OpDef] = &[
    OpDef {
        attrs: &[
            int("is_causal", 0),
            heads("kv_num_heads", AttrDefault::Absent),
            int("left_window_size", -1),
            heads("q_num_heads", AttrDefault::Absent),
            int("qk_matmul_output_mode", 0),
            int("right_window_size", -1),
            SCALE,
            float("softcap", 0.0),
            PRECISION,
        ],
        results: (1, 4),
        ..op(
            "Attention",
            "Values weighted by the softmax of scaled, capped and masked products of queries and keys.",
            ATTENTION,
            attention,
        )
    },
    OpDef {
        attrs: &[text("activation", "none")],
        results: (2, 2),
        ..op(
            "CausalConvWithState",
            "A depthwise convolution over the past, with the state between calls.",
            &[req("input"), req("weight"), opt("bias"), opt("past_state")],
            causal_conv,
        )
    },
    OpDef {
        attrs: &[
            int("chunk_size", 64),
            heads("kv_num_heads", AttrDefault::Required),
            heads("q_num_heads", AttrDefault::Required),
            float("scale", 0.0),
            text("update_rule", "gated_delta"),
        ],
        results: (2, 2),
        ..op(
            "LinearAttention",
            "Attention without softmax as a recurrence over a matrix of state.",
            &[req("query"), req("key"), req("value"), opt("past_state"), opt("decay"), opt("beta")],
            linear,
        )
    },
    OpDef {
        attrs: &[int("interleaved", 0), int("num_heads", 0), int("rotary_embedding_dim", 0)],
        ..op(
            "RotaryEmbedding",
            "Pairs of features turned by angles that grow with the position.",
            &[req("X"), req("cos_cache"), req("sin_cache"), opt("position_ids")],
            rotary,
        )
    },
    OpDef {
        attrs: &[SCALE, PRECISION],
        ..op(
            "ai.onnx.preview.FlexAttention",
            "Values weighted by the softmax of scaled products of queries and keys.",
            &[req("Q"), req("K"), req("V")],
            flex_attention,
        )
    },
];

/// Queries, keys or values as `[batch, heads, length, features]`.
fn split_heads(dims: &[Dim], count: Option<i64>) -> Result<[Dim; 4], InferError> {
    match (dims, count) {
        ([batch, heads, length, features], _) => {
            Ok([batch.clone(), heads.clone(), length.clone(), features.clone()])
        }
        ([batch, length, features], Some(count)) if count > 0 => {
            if features.as_fixed().is_some_and(|f| f % count != 0) {
                return fail(format!("{count} heads do not divide {features} features"));
            }
            let each = features.div_floor(&Dim::fixed(count));
            Ok([batch.clone(), Dim::fixed(count), length.clone(), each])
        }
        ([_, _, _], _) => fail("operands of rank 3 need the number of heads as attributes".to_string()),
        _ => fail(format!("an operand has rank {}, expected 3 or 4", dims.len())),
    }
}

fn head_count(cx: &InferCx<'_>, name: &str) -> Option<i64> {
    let declared = cx.def.attrs.iter().any(|a| a.name == name);
    if declared { cx.attrs().int_opt(name) } else { None }
}

fn attention(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    let (q, k, v) =
        (operand(cx, 0, Types::Float)?, operand(cx, 1, Types::Float)?, operand(cx, 2, Types::Float)?);
    alike(cx, &[0, 1, 4])?;
    alike(cx, &[2, 5])?;
    attr_type(cx, "softmax_precision", Types::Float)?;
    typed(cx, 6, DType::I64)?;
    optional(cx, 3, Types::NumberOrBool)?;
    if cx.get(4).is_some() != cx.get(5).is_some() {
        return fail("past keys and past values come together".to_string());
    }
    let types = [q.dtype(), k.dtype(), v.dtype(), q.dtype()];
    let (Some(q_dims), Some(k_dims), Some(v_dims)) = (q.dims(), k.dims(), v.dims()) else {
        return Ok(types.into_iter().map(|t| Fact::of(TensorType::unranked(t))).collect());
    };
    let [batch, q_heads, length, q_each] = split_heads(q_dims, head_count(cx, "q_num_heads"))?;
    let [_, kv_heads, kv_length, k_each] = split_heads(k_dims, head_count(cx, "kv_num_heads"))?;
    let [_, v_heads, v_length, v_each] = split_heads(v_dims, head_count(cx, "kv_num_heads"))?;
    same_extent(&q_each, &k_each, "the features of queries and keys")?;
    same_extent(&kv_heads, &v_heads, "the heads of keys and values")?;
    same_extent(&kv_length, &v_length, "the lengths of keys and values")?;
    if let (Some(q), Some(kv)) = (q_heads.as_fixed(), kv_heads.as_fixed())
        && (kv <= 0 || q % kv != 0)
    {
        return fail(format!("{kv} heads of keys do not divide {q} heads of queries"));
    }
    let past = cx.get(4).map(|f| f.dims().and_then(|d| d.get(2)).cloned());
    let total = past.map_or(kv_length.clone(), |past| past.unwrap_or_else(Dim::unknown).add(&kv_length));
    let y = match q_dims.len() {
        3 => vec![batch.clone(), length.clone(), q_heads.mul(&v_each)],
        _ => vec![batch.clone(), q_heads.clone(), length.clone(), v_each.clone()],
    };
    let present = |each: &Dim| vec![batch.clone(), kv_heads.clone(), total.clone(), each.clone()];
    let shapes = [y, present(&k_each), present(&v_each), vec![batch.clone(), q_heads, length, total.clone()]];
    Ok(types.into_iter().zip(shapes).map(|(t, dims)| Fact::of(TensorType::new(t, dims))).collect())
}

fn flex_attention(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    alike(cx, &[0, 1, 2])?;
    (0..3).try_for_each(|i| ranked(cx, i, &[4]))?;
    Ok(attention(cx)?.into_iter().take(1).collect())
}

fn rotary(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    let x = operand(cx, 0, Types::Float)?;
    alike(cx, &[0, 1, 2])?;
    ranked(cx, 0, &[3, 4])?;
    let expected = if cx.get(3).is_some() { 2 } else { 3 };
    ranked(cx, 1, &[expected])?;
    ranked(cx, 2, &[expected])?;
    typed(cx, 3, DType::I64)?;
    if x.ty.rank() == Some(3) && cx.attrs().int("num_heads") <= 0 {
        return fail("an operand of rank 3 needs the attribute `num_heads`".to_string());
    }
    one(x.ty.clone())
}

fn causal_conv(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    let x = operand(cx, 0, Types::Float)?;
    alike(cx, &[0, 1, 2, 3])?;
    [(0, 3), (1, 3), (2, 1), (3, 3)].into_iter().try_for_each(|(i, rank)| ranked(cx, i, &[rank]))?;
    attr_text(cx, "activation", &["none", "silu", "swish"])?;
    let state = match (x.dims(), operand(cx, 1, Types::Float)?.dims()) {
        (Some([batch, channels, _]), Some([_, _, k])) => {
            Some(vec![batch.clone(), channels.clone(), k.plus(-1)])
        }
        _ => None,
    };
    Ok(vec![Fact::of(x.ty.clone()), Fact::of(shaped(x.dtype(), state))])
}

fn linear(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    let q = operand(cx, 0, Types::Float)?;
    alike(cx, &[0, 1, 2, 4, 5])?;
    [(0, 3), (1, 3), (2, 3), (3, 4), (4, 3), (5, 3)]
        .into_iter()
        .try_for_each(|(i, r)| ranked(cx, i, &[r]))?;
    let (gated, delta) = match attr_text(cx, "update_rule", &["linear", "gated", "delta", "gated_delta"])? {
        "linear" => (false, false),
        "gated" => (true, false),
        "delta" => (false, true),
        _ => (true, true),
    };
    if gated != cx.get(4).is_some() || delta != cx.get(5).is_some() {
        return fail("operands `decay` and `beta` do not fit the attribute `update_rule`".to_string());
    }
    let state_type = optional(cx, 3, Types::Float)?.map_or(q.dtype(), Fact::dtype);
    let (Some(q_dims), Some(v_dims)) = (q.dims(), operand(cx, 2, Types::Float)?.dims()) else {
        return Ok(vec![Fact::of(shaped(q.dtype(), None)), Fact::of(shaped(state_type, None))]);
    };
    let [batch, q_heads, length, k_each] = split_heads(q_dims, head_count(cx, "q_num_heads"))?;
    let [_, kv_heads, _, v_each] = split_heads(v_dims, head_count(cx, "kv_num_heads"))?;
    let y = TensorType::new(q.dtype(), vec![batch.clone(), length, q_heads.mul(&v_each)]);
    let state = TensorType::new(state_type, vec![batch, kv_heads, k_each, v_each]);
    Ok(vec![Fact::of(y), Fact::of(state)])
}
