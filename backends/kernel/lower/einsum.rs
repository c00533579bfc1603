//! `Einsum`: products of two operands at a time, as matrix products where something is summed over.
use super::{Call, Handle, Lowering, Result};
use crate::math::Function as F;
use crate::schedule::Combine;
use crate::term::Index;
use std::collections::BTreeMap;
use weft_ir::Dim;
use weft_ir::ops::einsum::{Equation, Label};

/// A tensor whose axes have labels, each once.
#[derive(Debug, Clone)]
struct Labelled {
    handle: Handle,
    labels: Vec<Label>,
}

impl Lowering<'_> {
    /// Lowers `Einsum`.
    pub(crate) fn einstein(&mut self, call: &Call<'_>) -> Option<Result<Vec<Handle>>> {
        (call.op() == "Einsum").then(|| self.einsum(call).map(|h| vec![h]))
    }

    fn einsum(&mut self, call: &Call<'_>) -> Result<Handle> {
        let mut operands = Vec::new();
        for i in 0..call.operands.len() {
            operands.push(call.operand(i)?);
        }
        let ranks: Vec<usize> = operands.iter().map(|h| self.dims_of(*h).len()).collect();
        let equation = Equation::parse(call.attrs.str("equation"), &ranks).map_err(|e| e.0)?;
        let extents = self.label_extents(&equation, &operands);
        let mut terms: Vec<Labelled> = Vec::new();
        for (handle, labels) in operands.into_iter().zip(&equation.operands) {
            terms.push(self.diagonal_of(handle, labels, &extents));
        }
        terms.reverse();
        let mut left = terms.pop().ok_or("there are no operands")?;
        while let Some(right) = terms.pop() {
            let later = |label: &Label| {
                equation.result.contains(label) || terms.iter().any(|t| t.labels.contains(label))
            };
            left = self.contracted(&left, &right, &later, &extents)?;
        }
        let left = self.summed(left, &|label| equation.result.contains(label))?;
        let result = self.arranged(&left, &equation.result)?;
        Ok(self.cast(result, call.dtype(0)))
    }

    fn label_extents(&self, equation: &Equation, operands: &[Handle]) -> BTreeMap<Label, Dim> {
        let mut extents: BTreeMap<Label, Dim> = BTreeMap::new();
        for (labels, handle) in equation.operands.iter().zip(operands) {
            for (label, dim) in labels.iter().zip(self.dims_of(*handle)) {
                let known = extents.entry(*label).or_insert_with(|| dim.clone());
                if known.as_fixed() == Some(1) {
                    *known = dim;
                }
            }
        }
        extents
    }

    /// The tensor with every label once: a label that stands twice names a diagonal, extents of 1 are
    /// spread where the label has more elsewhere.
    fn diagonal_of(&mut self, handle: Handle, labels: &[Label], extents: &BTreeMap<Label, Dim>) -> Labelled {
        let mut unique: Vec<Label> = Vec::new();
        for label in labels {
            if !unique.contains(label) {
                unique.push(*label);
            }
        }
        let dims = self.dims_of(handle);
        let stretched = labels.iter().zip(&dims).any(|(l, d)| extents[l] != *d && d.as_fixed() == Some(1));
        if unique.len() == labels.len() && !stretched {
            return Labelled { handle, labels: unique };
        }
        let mut at = Vec::new();
        for (label, dim) in labels.iter().zip(&dims) {
            let axis = unique.iter().position(|l| l == label).unwrap_or(0);
            let moving = dim.as_fixed() != Some(1);
            at.push(if moving { Index::axis(axis as u32) } else { Index::fixed(0) });
        }
        self.force(handle);
        let term = self.read(handle, &at);
        let dims = unique.iter().map(|l| extents[l].clone()).collect();
        Labelled { handle: self.lazy(dims, term), labels: unique }
    }

    /// The sum over all labels that are not kept.
    fn summed(&mut self, x: Labelled, kept: &dyn Fn(&Label) -> bool) -> Result<Labelled> {
        let axes: Vec<usize> = (0..x.labels.len()).filter(|i| !kept(&x.labels[*i])).collect();
        if axes.is_empty() {
            return Ok(x);
        }
        self.force(x.handle);
        let term = self.here(x.handle);
        let total = self.combined(x.handle, term, &axes, Combine::Sum)?;
        let dims = self.dims_of(x.handle);
        let rest = |i: &usize| !axes.contains(i);
        let dims: Vec<Dim> = (0..dims.len()).filter(rest).map(|i| dims[i].clone()).collect();
        let labels = (0..x.labels.len()).filter(rest).map(|i| x.labels[i]).collect();
        self.force(total);
        Ok(Labelled { handle: self.reshaped(total, &dims), labels })
    }

    /// The axes in the order of `labels`.
    fn arranged(&mut self, x: &Labelled, labels: &[Label]) -> Result<Handle> {
        if x.labels == labels {
            return Ok(x.handle);
        }
        let perm: Option<Vec<usize>> =
            labels.iter().map(|label| x.labels.iter().position(|l| l == label)).collect();
        self.permuted(x.handle, &perm.ok_or("the result has an axis that no operand has")?)
    }

    /// The product of two operands, summed over what nobody needs later.
    fn contracted(
        &mut self,
        a: &Labelled,
        b: &Labelled,
        later: &dyn Fn(&Label) -> bool,
        extents: &BTreeMap<Label, Dim>,
    ) -> Result<Labelled> {
        let a = self.summed(a.clone(), &|l| later(l) || b.labels.contains(l))?;
        let b = self.summed(b.clone(), &|l| later(l) || a.labels.contains(l))?;
        let both: Vec<Label> = a.labels.iter().filter(|l| b.labels.contains(l)).copied().collect();
        let (batch, depth): (Vec<Label>, Vec<Label>) = both.iter().partition(|l| later(l));
        let own =
            |x: &Labelled| -> Vec<Label> { x.labels.iter().filter(|l| !both.contains(l)).copied().collect() };
        let (rows, cols) = (own(&a), own(&b));
        let dims = |labels: &[Label]| labels.iter().map(|l| extents[l].clone()).collect::<Vec<_>>();
        let labels = [&batch[..], &rows, &cols].concat();
        if depth.is_empty() {
            return self.spread_product(&a, &b, (labels.clone(), dims(&labels)));
        }
        let size = |labels: &[Label]| Self::elements(&dims(labels));
        let left = self.arranged(&a, &[&batch[..], &rows, &depth].concat())?;
        let right = self.arranged(&b, &[&batch[..], &depth, &cols].concat())?;
        let matrix = |sizes: [Dim; 2]| [dims(&batch), sizes.to_vec()].concat();
        let left = self.reshaped(left, &matrix([size(&rows), size(&depth)]));
        let right = self.reshaped(right, &matrix([size(&depth), size(&cols)]));
        let product = self.product(left, right)?;
        let whole = dims(&labels);
        if rows.len() == 1 && cols.len() == 1 {
            return Ok(Labelled { handle: product, labels });
        }
        self.force(product);
        Ok(Labelled { handle: self.reshaped(product, &whole), labels })
    }

    /// The product element by element.
    fn spread_product(
        &mut self,
        a: &Labelled,
        b: &Labelled,
        (labels, dims): (Vec<Label>, Vec<Dim>),
    ) -> Result<Labelled> {
        let mut factors = Vec::new();
        for x in [a, b] {
            self.force(x.handle);
            let place = |l: &Label| labels.iter().position(|other| other == l).unwrap_or(0);
            let at: Vec<Index> = x.labels.iter().map(|l| Index::axis(place(l) as u32)).collect();
            factors.push(self.read(x.handle, &at));
        }
        let term = self.apply(F::Mul, &factors);
        Ok(Labelled { handle: self.lazy(dims, term), labels })
    }
}
