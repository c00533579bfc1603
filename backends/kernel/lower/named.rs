//! Axes that only a run names. For each axis of a tensor the host works out a number before the
//! kernels run: 1 where the axis is named, else 0. Extents and positions are then arithmetic on these
//! numbers, and a number that is known now folds away.
use super::movement::place;
use super::slice::is_negative;
use super::{Lowering, Result};
use crate::program::Step;
use weft_ir::Dim;

/// Which axes an operand names: for each of its entries a number an axis.
pub(crate) struct Named {
    entries: Vec<Vec<Dim>>,
    rank: usize,
}

impl Named {
    /// For each axis whether some entry names it.
    pub(crate) fn flags(&self) -> Vec<Dim> {
        let ones = vec![Dim::fixed(1); self.entries.len()];
        self.picked(&ones, &vec![Dim::fixed(0); self.rank])
    }

    /// For each axis what the entry that names it has among `values`, or else its own of `others`.
    pub(crate) fn picked(&self, values: &[Dim], others: &[Dim]) -> Vec<Dim> {
        let one = |axis: usize| {
            let named = self.entries.iter().map(|hot| &hot[axis]).zip(values);
            named.fold(others[axis].clone(), |sum, (hot, value)| sum.add(&hot.mul(&value.sub(&others[axis]))))
        };
        (0..self.rank).map(one).collect()
    }
}

/// The flags of axes that are known.
pub(crate) fn flags_of(axes: &[usize], rank: usize) -> Vec<Dim> {
    (0..rank).map(|axis| Dim::fixed(i64::from(axes.contains(&axis)))).collect()
}

/// The first where the flag is set, else the second.
pub(crate) fn either(flag: &Dim, set: &Dim, unset: &Dim) -> Dim {
    unset.add(&flag.mul(&set.sub(unset)))
}

impl Lowering<'_> {
    /// A number that is not negative, as one symbol: what is computed with it stays short. One that
    /// follows from the inputs' extents stays as it is, so that it may size planned buffers.
    pub(crate) fn noted(&mut self, value: Dim) -> Dim {
        if value.as_symbol().is_some() || value.symbols().iter().all(|s| self.bound.contains(&**s)) {
            return value;
        }
        let (symbol, name) = self.fresh_symbol("noted");
        self.step(Step::Set { symbol, value });
        name
    }

    /// The same for a number of either sign.
    pub(crate) fn noted_signed(&mut self, value: &Dim) -> Dim {
        if value.symbols().iter().all(|s| self.bound.contains(&**s)) {
            return value.clone();
        }
        let zero = Dim::fixed(0);
        let above = self.noted(value.larger(&zero));
        let below = self.noted(value.scale(-1).larger(&zero));
        above.sub(&below)
    }

    /// 1 where two numbers are equal, else 0.
    pub(crate) fn equals(&mut self, a: &Dim, b: &Dim) -> Dim {
        let (one, apart) = (Dim::fixed(1), a.sub(b));
        let distance = apart.larger(&apart.scale(-1));
        self.noted(one.sub(&distance.smaller(&one)))
    }

    /// The axes that these entries name; the run fails where one is outside or named twice.
    pub(crate) fn named(&mut self, entries: &[Dim], rank: usize) -> Result<Named> {
        let mut named = Named { entries: Vec::new(), rank };
        for entry in entries {
            named.entries.push(match entry.as_fixed() {
                Some(axis) => flags_of(&[place(axis, rank)?], rank),
                None => self.named_at_run_time(entry, rank),
            });
        }
        for (axis, count) in named.flags().into_iter().enumerate() {
            if count.as_fixed().is_none() {
                self.at_least(Dim::fixed(1), count, &format!("axis {axis} is named more than once"));
            }
        }
        Ok(named)
    }

    fn named_at_run_time(&mut self, entry: &Dim, rank: usize) -> Vec<Dim> {
        let rank = rank as i64;
        let message = format!("an axis is outside a tensor of rank {rank}");
        self.at_least(entry.clone(), Dim::fixed(-rank), &message);
        self.at_least(Dim::fixed(rank - 1), entry.clone(), &message);
        let counted = entry.add(&is_negative(entry).scale(rank));
        let counted = self.noted(counted);
        (0..rank).map(|axis| self.equals(&counted, &Dim::fixed(axis))).collect()
    }

    /// Fails the run where `left` is below `right`.
    pub(crate) fn at_least(&mut self, left: Dim, right: Dim, message: &str) {
        self.step(Step::Check { left, right, at_least: true, message: message.to_string() });
    }

    /// The extents of the `count` axes whose flags are not set, in order.
    pub(crate) fn left_over(&mut self, dims: &[Dim], flags: &[Dim], count: usize) -> Vec<Dim> {
        let (one, mut at) = (Dim::fixed(1), Dim::fixed(0));
        let mut left = vec![Dim::fixed(0); count];
        for (dim, flag) in dims.iter().zip(flags) {
            let stays = one.sub(flag);
            for (place, extent) in left.iter_mut().enumerate() {
                let here = self.equals(&at, &Dim::fixed(place as i64)).mul(&stays);
                *extent = extent.add(&here.mul(dim));
            }
            at = self.noted(at.add(&stays));
        }
        left.into_iter().map(|extent| self.noted(extent)).collect()
    }

    /// Extents with axes of extent 1 put in where flags are set.
    pub(crate) fn spread_out(&mut self, dims: &[Dim], flags: &[Dim]) -> Vec<Dim> {
        let (one, mut at) = (Dim::fixed(1), Dim::fixed(0));
        let mut spread = Vec::new();
        for flag in flags {
            let mut own = Dim::fixed(0);
            for (axis, dim) in dims.iter().enumerate() {
                own = own.add(&self.equals(&at, &Dim::fixed(axis as i64)).mul(dim));
            }
            spread.push(self.noted(either(flag, &one, &own)));
            at = self.noted(at.add(&one.sub(flag)));
        }
        spread
    }

    /// The extents before the one axis that is named, its own, and behind it.
    pub(crate) fn around_named(&mut self, dims: &[Dim], flags: &[Dim]) -> [Dim; 3] {
        let one = Dim::fixed(1);
        let mut around = [one.clone(), Dim::fixed(0), one.clone()];
        // What was found so far: the axis itself is neither before nor behind it.
        let mut found = Dim::fixed(0);
        for (dim, flag) in dims.iter().zip(flags) {
            around[1] = around[1].add(&flag.mul(dim));
            let behind = either(&found, dim, &one);
            found = self.noted(found.add(flag));
            let before = either(&found, &one, dim);
            around[0] = self.noted(around[0].mul(&before));
            around[2] = self.noted(around[2].mul(&behind));
        }
        around.map(|extent| self.noted(extent))
    }
}
