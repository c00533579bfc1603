//! Attributes made up for the operators of an instance.
//!
//! Most follow from what they hold and from the rank of the operands; this is about what makes
//! graphs worth trying, not about what operators mean, so it needs no row for every operator.
use super::grow::Grower;
use std::collections::BTreeMap;
use weft_ir::op::Implied;
use weft_ir::{Attr, AttrDef, AttrDefault, AttrKind, DType, OpDef, Value};
use weft_passes::rule::{AttrPattern, Made};

/// Attributes on which shapes of operands depend.
const EARLY: &[(&str, &[&str])] = &[
    ("Concat", &["axis"]),
    ("Gemm", &["transA", "transB", "alpha", "beta"]),
    ("Split", &["axis"]),
    ("Gather", &["axis"]),
    ("Conv", &["group"]),
    ("LayerNormalization", &["axis"]),
];

/// What is written in the pattern or known from another operator.
fn given(g: &Grower<'_>, made: &Made, name: &str) -> Option<Option<Attr>> {
    match made.attrs.get(name) {
        Some(AttrPattern::Is(attr)) => Some(Some(attr.clone())),
        Some(AttrPattern::Any(var)) => g.attrs.get(var).cloned().map(Some),
        None if made.others.is_some() => g.known_others(made).map(|others| others.get(name).cloned()),
        None => Some(None),
    }
}

/// The attributes that shapes of operands depend on.
pub(crate) fn early(g: &mut Grower<'_>, def: &OpDef, made: &Made) -> BTreeMap<String, Attr> {
    let wanted = EARLY.iter().find(|(op, _)| *op == def.name).map_or(&[][..], |(_, names)| names);
    let mut attrs = BTreeMap::new();
    for attr in def.attrs.iter().filter(|attr| wanted.contains(&attr.name)) {
        let rank = g.dims.len();
        let value = given(g, made, attr.name).unwrap_or_else(|| made_up(g, attr, rank, None));
        attrs.extend(value.map(|value| (attr.name.to_string(), value)));
    }
    attrs
}

/// All others.
pub(crate) fn late(
    g: &mut Grower<'_>,
    def: &OpDef,
    made: &Made,
    operands: &[Option<Value>],
    attrs: &mut BTreeMap<String, Attr>,
) {
    let dims = operands.first().copied().flatten().and_then(|v| g.dims_of(v)).unwrap_or_default();
    let kernel = operands.get(1).copied().flatten().and_then(|v| g.dims_of(v));
    for attr in def.attrs {
        if attrs.contains_key(attr.name) {
            continue;
        }
        let value =
            given(g, made, attr.name).unwrap_or_else(|| made_up(g, attr, dims.len(), kernel.as_deref()));
        attrs.extend(value.map(|value| (attr.name.to_string(), value)));
    }
}

fn made_up(g: &mut Grower<'_>, attr: &AttrDef, rank: usize, kernel: Option<&[u64]>) -> Option<Attr> {
    let required = matches!(attr.default, AttrDefault::Required);
    let bound = required || !g.dice.one_in(3);
    if !bound && !matches!(attr.default, AttrDefault::Absent) {
        // As a variable stands for it, what it means must be written out.
        return usual(attr, rank, kernel);
    }
    match attr.kind {
        AttrKind::Int => Some(Attr::Int(integer(g, attr, rank))),
        AttrKind::Float => Some(Attr::Float(g.dice.pick(&[0.5, 1.0, 2.0, -1.5, 0.25])?)),
        AttrKind::Ints => integers(g, attr, rank, kernel).map(Attr::Ints),
        AttrKind::Type => {
            let types = [DType::F32, DType::F64, DType::I64, DType::I32, DType::Bool, DType::F16];
            g.dice.pick(&types).map(Attr::Type)
        }
        _ => usual(attr, rank, kernel),
    }
}

/// What an attribute is when nobody says anything.
fn usual(attr: &AttrDef, rank: usize, kernel: Option<&[u64]>) -> Option<Attr> {
    match attr.default {
        AttrDefault::Int(x) => Some(Attr::Int(x)),
        AttrDefault::Float(x) => Some(Attr::Float(x)),
        AttrDefault::Str(x) => Some(Attr::Str(x.to_string())),
        AttrDefault::Ints(x) => Some(Attr::Ints(x.to_vec())),
        AttrDefault::Type(x) => Some(Attr::Type(x)),
        AttrDefault::Implied(Implied::Reversed) => Some(Attr::Ints((0..rank as i64).rev().collect())),
        AttrDefault::Implied(Implied::Ones) => Some(Attr::Ints(vec![1; rank.saturating_sub(2)])),
        AttrDefault::Implied(Implied::Zeros) => Some(Attr::Ints(vec![0; 2 * rank.saturating_sub(2)])),
        AttrDefault::Implied(Implied::Kernel) => {
            Some(Attr::Ints(kernel?.get(2..)?.iter().map(|k| *k as i64).collect()))
        }
        AttrDefault::Required | AttrDefault::Absent => None,
    }
}

fn integer(g: &mut Grower<'_>, attr: &AttrDef, rank: usize) -> i64 {
    match attr.name {
        "axis" => {
            let axis = g.dice.below(rank) as i64;
            if rank > 0 && g.dice.one_in(4) { axis - rank as i64 } else { axis }
        }
        "group" => g.dice.pick(&[1, 1, 1, 2]).unwrap_or(1),
        "num_outputs" => 2,
        "p" => g.dice.below(2) as i64 + 1,
        "k" => g.dice.below(3) as i64 - 1,
        "noop_with_empty_axes" | "storage_order" | "block_size" | "allowzero" => 0,
        _ => g.dice.below(2) as i64,
    }
}

fn integers(g: &mut Grower<'_>, attr: &AttrDef, rank: usize, kernel: Option<&[u64]>) -> Option<Vec<i64>> {
    let spatial = rank.saturating_sub(2);
    Some(match attr.name {
        "perm" => {
            let axes: Vec<i64> = (0..rank as i64).collect();
            g.dice.shuffled(&axes)
        }
        "kernel_shape" => match kernel {
            Some(dims) if dims.len() > 2 => dims[2..].iter().map(|k| *k as i64).collect(),
            _ => (0..spatial).map(|_| g.dice.below(2) as i64 + 1).collect(),
        },
        "strides" | "dilations" => (0..spatial).map(|_| g.dice.below(2) as i64 + 1).collect(),
        "pads" => (0..2 * spatial).map(|_| g.dice.below(2) as i64).collect(),
        _ => return None,
    })
}
