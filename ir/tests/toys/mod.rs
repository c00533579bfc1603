//! weft's own operators and a few more that use every feature of a definition.
#![allow(dead_code, reason = "each test file uses its own part")]
use weft_ir::op::{Presence, no_regions};
use weft_ir::text::{NoWeights, Style, print, weights_by_digest};
use weft_ir::{
    AttrDef, AttrDefault, AttrKind, DType, Dim, Fact, InferCx, InferError, Module, OpDef, OpSet, OperandDef,
    TensorType, Traits,
};

const fn attr(name: &'static str, kind: AttrKind, default: AttrDefault) -> AttrDef {
    AttrDef { name, kind, default }
}

const fn operand(name: &'static str, presence: Presence) -> OperandDef {
    OperandDef { name, presence }
}

const ALL: OpDef = OpDef {
    name: "toy.All",
    doc: "Every kind of attribute.",
    operands: &[operand("X", Presence::Optional), operand("Y", Presence::Optional)],
    attrs: &[
        attr("dims", AttrKind::Dims, AttrDefault::Absent),
        attr("float", AttrKind::Float, AttrDefault::Float(0.5)),
        attr("floats", AttrKind::Floats, AttrDefault::Absent),
        attr("int", AttrKind::Int, AttrDefault::Int(3)),
        attr("ints", AttrKind::Ints, AttrDefault::Ints(&[1, 1])),
        attr("odd name", AttrKind::Int, AttrDefault::Absent),
        attr("str", AttrKind::Str, AttrDefault::Str("NOTSET")),
        attr("strs", AttrKind::Strs, AttrDefault::Absent),
        attr("tensor", AttrKind::Tensor, AttrDefault::Absent),
        attr("to", AttrKind::Type, AttrDefault::Type(DType::F32)),
    ],
    results: (0, 3),
    regions: 0,
    traits: Traits::PURE,
    infer: |cx| Ok(vec![Fact::of(TensorType::new(DType::F32, vec![Dim::symbol("N")])); cx.results()]),
    enter: no_regions,
    body: None,
};

const SPLIT: OpDef = OpDef {
    name: "toy.Split",
    doc: "The operand, one to three times.",
    operands: &[operand("X", Presence::Required)],
    attrs: &[],
    results: (1, 3),
    infer: |cx| Ok(vec![Fact::of(cx.need(0)?.ty.clone()); cx.results()]),
    ..ALL
};

const IF: OpDef = OpDef {
    name: "toy.If",
    doc: "One of two regions, both seeing all operands but the first.",
    operands: &[operand("cond", Presence::Required), operand("captures", Presence::Variadic)],
    attrs: &[],
    results: (1, 8),
    regions: 2,
    infer: if_results,
    enter: |cx| {
        let captures: Vec<Fact> = cx.operands.iter().skip(1).flatten().cloned().collect();
        Ok(vec![captures.clone(), captures])
    },
    ..ALL
};

fn if_results(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    match cx.regions {
        [a, b] if a.len() == b.len() => Ok(a.clone()),
        _ => Err(InferError("the regions have different counts of outputs".to_string())),
    }
}

/// Everything weft has, and the toys.
pub(crate) fn ops() -> OpSet {
    OpSet::new(OpSet::builtin().iter().copied().chain([ALL, SPLIT, IF]))
}

/// The module of a text without weights.
pub(crate) fn module(text: &str) -> Module {
    Module::parse(text, &ops(), &NoWeights).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The text of a module, which must read back to the same text.
pub(crate) fn round(module: &Module) -> String {
    let once = print(module, &ops(), Style::default());
    let again = Module::parse(&once, &ops(), &weights_by_digest(module));
    let again = again.unwrap_or_else(|error| panic!("{error}\n{once}"));
    assert_eq!(once, print(&again, &ops(), Style::default()));
    once
}
