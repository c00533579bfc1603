//! Sums of products by equation.
use super::check::{Types, alike, operand};
use super::rules::{attr, fail, many, op, shaped};
use crate::dim::Dim;
use crate::infer::Fact;
use crate::op::{AttrDefault, AttrKind, InferCx, InferError, OpDef, one};
use std::collections::BTreeMap;

/// The table.
pub(crate) const OPS: &[OpDef] = &[OpDef {
    attrs: &[attr("equation", AttrKind::Str, AttrDefault::Required)],
    ..op(
        "Einsum",
        "The sum of products that an equation such as `bij,bjk->bik` says.",
        &[many("Inputs")],
        infer,
    )
}];

/// What an axis of an [`Equation`] is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Label {
    /// An axis under an ellipsis, counted from the last; extents of 1 broadcast.
    Rest(usize),
    /// An axis with a letter.
    Letter(char),
}

/// An equation with every axis labelled; labels that stand only on the left are summed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Equation {
    /// The labels of each operand.
    pub operands: Vec<Vec<Label>>,
    /// The labels of the result.
    pub result: Vec<Label>,
}

impl Equation {
    /// Reads an equation for operands of these ranks.
    pub fn parse(text: &str, ranks: &[usize]) -> Result<Self, InferError> {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let (left, right) = match text.split_once("->") {
            Some((left, right)) => (left, Some(right)),
            None => (&*text, None),
        };
        let terms: Vec<&str> = left.split(',').collect();
        if terms.len() != ranks.len() {
            return fail(format!("equation `{text}` has {} terms for {} operands", terms.len(), ranks.len()));
        }
        let operands: Vec<Vec<Label>> =
            terms.iter().zip(ranks).map(|(term, rank)| labels(term, *rank)).collect::<Result<_, _>>()?;
        let rest = operands.iter().flatten().filter(|l| matches!(l, Label::Rest(_))).collect::<Vec<_>>();
        let rest = rest.into_iter().max().map_or(0, |l| if let Label::Rest(n) = l { n + 1 } else { 0 });
        let result = match right {
            Some(right) => explicit(right, rest)?,
            None => implicit(&operands, rest),
        };
        let known = |label: &&Label| operands.iter().flatten().any(|l| l == *label);
        if let Some(Label::Letter(letter)) = result.iter().find(|l| !known(l)) {
            return fail(format!("equation `{text}` makes an axis `{letter}` that no operand has"));
        }
        Ok(Self { operands, result })
    }
}

/// The labels of one term; the ellipsis takes the axes that have no letter.
fn labels(term: &str, rank: usize) -> Result<Vec<Label>, InferError> {
    let (head, tail, open) = match term.split_once("...") {
        Some((head, tail)) => (head, tail, true),
        None => (term, "", false),
    };
    if let Some(other) = head.chars().chain(tail.chars()).find(|c| !c.is_ascii_alphabetic()) {
        return fail(format!("equation holds `{other}`, expected letters, `,`, `...` and `->`"));
    }
    let letters = head.len() + tail.len();
    let rest = rank.checked_sub(letters).filter(|rest| open || *rest == 0);
    let Some(rest) = rest else {
        return fail(format!("term `{term}` does not fit an operand of rank {rank}"));
    };
    let head = head.chars().map(Label::Letter);
    let tail = tail.chars().map(Label::Letter);
    Ok(head.chain((0..rest).rev().map(Label::Rest)).chain(tail).collect())
}

fn explicit(right: &str, rest: usize) -> Result<Vec<Label>, InferError> {
    let open = right.contains("...");
    let letters = right.replacen("...", "", 1).len();
    let result = labels(right, letters + if open { rest } else { 0 })?;
    for (i, label) in result.iter().enumerate() {
        if result[..i].contains(label) {
            return fail(format!("the right side `{right}` names an axis twice"));
        }
    }
    Ok(result)
}

/// Without a right side: the axes under ellipses, then the letters that stand once, sorted.
fn implicit(operands: &[Vec<Label>], rest: usize) -> Vec<Label> {
    let mut counts: BTreeMap<char, usize> = BTreeMap::new();
    for label in operands.iter().flatten() {
        if let Label::Letter(letter) = label {
            *counts.entry(*letter).or_default() += 1;
        }
    }
    let once = counts.into_iter().filter(|(_, n)| *n == 1).map(|(letter, _)| Label::Letter(letter));
    (0..rest).rev().map(Label::Rest).chain(once).collect()
}

fn infer(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    let first = operand(cx, 0, Types::Number)?;
    let positions: Vec<usize> = (0..cx.operands.len()).collect();
    alike(cx, &positions)?;
    let mut shapes = Vec::new();
    for i in positions {
        match cx.need(i)?.dims() {
            Some(dims) => shapes.push(dims),
            None => return one(shaped(first.dtype(), None)),
        }
    }
    let ranks: Vec<usize> = shapes.iter().map(|s| s.len()).collect();
    let equation = Equation::parse(cx.attrs().str("equation"), &ranks)?;
    let mut extents: BTreeMap<Label, Dim> = BTreeMap::new();
    for (label, dim) in equation.operands.iter().zip(&shapes).flat_map(|(l, s)| l.iter().zip(*s)) {
        let known = extents.remove(label).unwrap_or_else(|| Dim::fixed(1));
        let both = super::rules::broadcast(&[known], std::slice::from_ref(dim))?;
        extents.extend(both.into_iter().map(|dim| (*label, dim)));
    }
    let dims = equation.result.iter().map(|l| extents.get(l).cloned().unwrap_or_else(|| Dim::fixed(1)));
    one(shaped(first.dtype(), Some(dims.collect())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equations_are_read() {
        let equation = Equation::parse("...ij, jk -> ...ik", &[4, 2]).unwrap();
        let (i, j) = (Label::Letter('i'), Label::Letter('j'));
        assert_eq!(equation.operands[0], [Label::Rest(1), Label::Rest(0), i, j]);
        assert_eq!(equation.result, [Label::Rest(1), Label::Rest(0), i, Label::Letter('k')]);
        assert_eq!(Equation::parse("ba", &[2]).unwrap().result, [Label::Letter('a'), Label::Letter('b')]);
        assert_eq!(Equation::parse("ii", &[2]).unwrap().result, []);
        for (bad, rank) in [("ij", 3), ("ij->ik", 2), ("i1", 2), ("i,j", 2), ("ij->ii", 2), ("i...j", 1)] {
            assert!(Equation::parse(bad, &[rank]).is_err(), "{bad}");
        }
    }
}
