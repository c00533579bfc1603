//! What is done to a row, sweep by sweep.
use super::super::Combine;
use super::Norm;
use super::sweep::{Place, Totals, Writer};
use crate::math::{self, Function};
use crate::nest::{Binary, Builder, Compare, Reg, Scalar, Ty, Unary};
use weft_ir::Dim;

impl Writer<'_> {
    /// One row, or rows side by side, of which the last ones may not fill the vectors.
    pub(super) fn unit(&self, b: &mut Builder, axes: &[Reg], norm: Norm) {
        let whole = self.domain.dims[self.axis].as_fixed().is_some_and(|d| d % self.width() == 0);
        if !self.across() || whole {
            return self.normalise(b, &Place { axes, left: None }, norm);
        }
        let extent = b.extent(&self.domain.dims[self.axis]);
        let (left, width) = (b.sub(extent, axes[self.axis]), b.index(self.width()));
        let fits = b.compare(Compare::Le, width, left);
        b.when_else(
            fits,
            |b| self.normalise(b, &Place { axes, left: None }, norm),
            |b| self.normalise(b, &Place { axes, left: Some(left) }, norm),
        );
    }

    fn normalise(&self, b: &mut Builder, place: &Place<'_>, norm: Norm) {
        match norm {
            Norm::Softmax => self.softmax(b, place),
            Norm::LogSoftmax => self.log_softmax(b, place),
            Norm::Centred(epsilon) => self.centred(b, place, epsilon),
            Norm::Uncentred(epsilon) => self.uncentred(b, place, epsilon),
        }
    }

    fn softmax(&self, b: &mut Builder, place: &Place<'_>) {
        let max = self.greatest(b, place);
        let sum = self.total(b, place, Combine::Sum, &mut |b, at, before| {
            let x = self.again(b, at);
            let exp = shifted_exp(b, x, max[at.slot]);
            self.keep(b, at, exp);
            b.binary(Binary::Add, before, exp)
        });
        let inverse = each(b, &sum, |b, sum| {
            let one = self.number(b, 1.0);
            b.binary(Binary::Div, one, sum)
        });
        self.finish(b, place, &mut |b, at| {
            let exp = match self.stored {
                Some(exp) => self.value(b, at, exp),
                None => {
                    let x = self.again(b, at);
                    shifted_exp(b, x, max[at.slot])
                }
            };
            b.binary(Binary::Mul, exp, inverse[at.slot])
        });
    }

    fn log_softmax(&self, b: &mut Builder, place: &Place<'_>) {
        let max = self.greatest(b, place);
        let sum = self.total(b, place, Combine::Sum, &mut |b, at, before| {
            let x = self.again(b, at);
            let exp = shifted_exp(b, x, max[at.slot]);
            b.binary(Binary::Add, before, exp)
        });
        let log = each(b, &sum, |b, sum| math::emit(b, Function::Log, b.ty(sum).elem, &[sum]));
        self.finish(b, place, &mut |b, at| {
            let x = self.again(b, at);
            let shifted = b.binary(Binary::Sub, x, max[at.slot]);
            b.binary(Binary::Sub, shifted, log[at.slot])
        });
    }

    fn greatest(&self, b: &mut Builder, place: &Place<'_>) -> Totals {
        // A NaN need not win here, as it makes the sum of exponentials NaN.
        self.total(b, place, Combine::Max, &mut |b, at, before| {
            let x = self.first(b, at);
            b.binary(Binary::Max, x, before)
        })
    }

    fn centred(&self, b: &mut Builder, place: &Place<'_>, epsilon: f64) {
        let sum = self.total(b, place, Combine::Sum, &mut |b, at, before| {
            let x = self.first(b, at);
            b.binary(Binary::Add, before, x)
        });
        let mean = each(b, &sum, |b, sum| self.mean(b, sum));
        let squares = self.total(b, place, Combine::Sum, &mut |b, at, before| {
            let x = self.again(b, at);
            let x = b.binary(Binary::Sub, x, mean[at.slot]);
            b.fma(x, x, before)
        });
        let inverse = each(b, &squares, |b, squares| self.inverse(b, squares, epsilon));
        self.finish(b, place, &mut |b, at| {
            let x = self.again(b, at);
            let x = b.binary(Binary::Sub, x, mean[at.slot]);
            b.binary(Binary::Mul, x, inverse[at.slot])
        });
    }

    fn uncentred(&self, b: &mut Builder, place: &Place<'_>, epsilon: f64) {
        let squares = self.total(b, place, Combine::Sum, &mut |b, at, before| {
            let x = self.first(b, at);
            b.fma(x, x, before)
        });
        let inverse = each(b, &squares, |b, squares| self.inverse(b, squares, epsilon));
        self.finish(b, place, &mut |b, at| {
            let x = self.again(b, at);
            b.binary(Binary::Mul, x, inverse[at.slot])
        });
    }

    fn number(&self, b: &mut Builder, x: f64) -> Reg {
        let dtype = self.domain.terms.dtype(self.domain.roots[1]);
        b.constant(Ty::vector(dtype, self.lanes), Scalar::Float(x))
    }

    /// A sum over the length of the row.
    fn mean(&self, b: &mut Builder, sum: Reg) -> Reg {
        let length = self.domain.dims[self.kept..].iter().fold(Dim::fixed(1), |p, d| p.mul(d));
        let (length, elem) = (b.extent(&length), b.ty(sum).elem);
        let length = b.cast(length, elem);
        let length = b.splat(length, self.lanes);
        b.binary(Binary::Div, sum, length)
    }

    /// `1 / sqrt(mean + epsilon)`.
    fn inverse(&self, b: &mut Builder, squares: Reg, epsilon: f64) -> Reg {
        let mean = self.mean(b, squares);
        let (epsilon, one) = (self.number(b, epsilon), self.number(b, 1.0));
        let sum = b.binary(Binary::Add, mean, epsilon);
        let root = b.unary(Unary::Sqrt, sum);
        b.binary(Binary::Div, one, root)
    }
}

fn shifted_exp(b: &mut Builder, x: Reg, max: Reg) -> Reg {
    let x = b.binary(Binary::Sub, x, max);
    math::emit(b, Function::Exp, b.ty(x).elem, &[x])
}

/// The same of each total; equal totals share it.
fn each(b: &mut Builder, totals: &Totals, f: impl Fn(&mut Builder, Reg) -> Reg) -> Totals {
    let mut results: Totals = Vec::new();
    for (i, total) in totals.iter().enumerate() {
        let same = totals[..i].iter().position(|t| t == total).map(|i| results[i]);
        let result = same.unwrap_or_else(|| f(b, *total));
        results.push(result);
    }
    results
}
