//! All the forms on the menu that a layer may have, with what each takes and how far it is off.
use super::Choose;
use super::time::picoseconds;
use crate::forms::{
    Coded, Codes, Form, Half, Halves, Masked, Method, On, Prompt, Rounding, Way, errors, exact, norms, seen,
};
use std::sync::Arc;
use weft_ir::Module;
use weft_ir::infer::Facts;
use weft_passes::{Linear, PassContext, PassError, PlainCost, ValueError};

/// Layers whose matrices are looked at before what is mapped of them is given back.
const TOGETHER: usize = 16;

/// Says what is being done.
fn tell(cx: &PassContext<'_>, what: &str) {
    cx.measure.iter().for_each(|measure| measure.tell(&format!("choose, {what}")));
}

/// One form of a layer.
pub(super) struct Candidate {
    /// Its name on the menu.
    pub(super) what: String,
    /// Which way of rounding and which share of zeros, by their places on the menu; 0 for none.
    pub(super) item: [usize; 2],
    pub(super) coded: Option<Arc<Coded>>,
    pub(super) masked: Option<Masked>,
    pub(super) picoseconds: u64,
    /// At a sample of what flows in.
    pub(super) error: ValueError,
}

impl Candidate {
    pub(super) fn form(&self) -> Form<'_> {
        Form { coded: self.coded.as_deref(), masked: self.masked.as_ref() }
    }

    /// Whether it is as fast as another one, and off by less.
    fn is_better(&self, other: &Self) -> bool {
        self.picoseconds <= other.picoseconds && self.error.relative_mse < other.error.relative_mse
    }
}

/// The layers that are chosen for, each with its candidates, the exact one first.
pub(super) struct Layers {
    pub(super) linears: Vec<Linear>,
    pub(super) candidates: Vec<Vec<Candidate>>,
}

/// So many bits are enough: to make up for their rounding takes as long as for that of fewer, and gains little (SmolLM2's
/// perplexity on other text is 15.97 with 8 bits rounded to nearest, 15.95 by GPTQ, 15.82 exact).
const FINE: u32 = 8;

impl Choose {
    /// The candidates of some layers; those that save no time are left out.
    pub(super) fn candidates(
        &self,
        cx: &PassContext<'_>,
        module: &Module,
        (facts, linears): (&Facts, Vec<Linear>),
    ) -> Result<Layers, PassError> {
        tell(cx, "rounding");
        let mut codes = self.codes(cx, module, (facts, &linears))?;
        if self.menu.halves {
            let halves = halves(facts, &linears)?;
            codes.iter_mut().zip(halves).for_each(|(ways, half)| ways.push(half));
        }
        let masks = self.masks(cx, module, (facts, &linears))?;
        let mut candidates: Vec<Vec<Candidate>> = linears.iter().map(|_| Vec::new()).collect();
        let weights = linears.iter().map(|layer| (layer.dims[0] * layer.dims[1]) as u64).sum();
        for (place, (layer, all)) in linears.iter().zip(&mut candidates).enumerate() {
            for (item, coded) in std::iter::once(None).chain(codes[place].iter().map(Some)).enumerate() {
                let coded = coded.cloned();
                let without = all.len();
                all.push(self.candidate(cx, (layer, weights), ([item, 0], coded.clone(), None)));
                for (level, masks) in masks.iter().enumerate() {
                    let masked = Some(masks[place].clone());
                    let made =
                        self.candidate(cx, (layer, weights), ([item, level + 1], coded.clone(), masked));
                    if made.picoseconds < all[without].picoseconds {
                        all.push(made);
                    }
                }
            }
        }
        let mut layers = Layers { linears, candidates };
        tell(cx, "errors of layers");
        layers.judge(cx, module, facts)?;
        Ok(layers)
    }

    /// The codes of each layer in all ways on the menu; those of [`FINE`] bits are rounded to nearest.
    fn codes(
        &self,
        cx: &PassContext<'_>,
        module: &Module,
        (facts, linears): (&Facts, &[Linear]),
    ) -> Result<Vec<Vec<Arc<Coded>>>, PassError> {
        let ways = self.menu.rounded.iter().map(|(_, grid, along)| Way { grid: *grid, along: *along });
        let ways: Vec<Way> = ways.collect();
        let by = |method: Method, own: &dyn Fn(&Way) -> bool| {
            let own = vec![ways.iter().copied().filter(own).collect(); linears.len()];
            Rounding { group: self.group, method }.codes(cx, module, (facts, linears), &own)
        };
        let is_fine = |way: &Way| way.grid.bits >= FINE;
        let fine = by(Method::Rtn, &is_fine)?;
        let coarse = by(self.method, &|way| !is_fine(way))?;
        let in_order = |(fine, coarse): (Vec<Codes>, Vec<Codes>)| {
            let (mut fine, mut coarse) = (fine.into_iter(), coarse.into_iter());
            let next = |way: &Way| if is_fine(way) { fine.next() } else { coarse.next() };
            ways.iter().filter_map(next).map(|codes| Arc::new(Coded::Codes(codes))).collect()
        };
        Ok(fine.into_iter().zip(coarse).map(in_order).collect())
    }

    /// The masks of all layers, by their share of zeros.
    fn masks(
        &self,
        cx: &PassContext<'_>,
        module: &Module,
        (facts, linears): (&Facts, &[Linear]),
    ) -> Result<Vec<Vec<Masked>>, PassError> {
        if self.menu.sparsity.is_empty() {
            return Ok(Vec::new());
        }
        let mut masks: Vec<Masked> = Vec::new();
        for some in linears.chunks(TOGETHER) {
            tell(cx, "inputs that count least");
            masks.extend(some.iter().map(|layer| Masked {
                layer: *layer,
                channel: Some(Arc::new(norms(&layer.matrix(facts), layer.dims))),
                sparsity: 0.0,
                limit: None,
                prompt: Prompt::Masked,
            }));
        }
        let seen = seen(cx.data_for("choose")?, module, &masks)?;
        let level = |sparsity: &f64| {
            let set = |masked: &Masked| Masked { sparsity: *sparsity, ..masked.clone() }.limited(&seen);
            masks.iter().map(set).collect()
        };
        Ok(self.menu.sparsity.iter().map(level).collect())
    }

    /// A candidate whose error is yet to be known.
    fn candidate(
        &self,
        cx: &PassContext<'_>,
        layer: (&Linear, u64),
        (item, coded, masked): ([usize; 2], Option<Arc<Coded>>, Option<Masked>),
    ) -> Candidate {
        let error = ValueError { relative_mse: 0.0, max: 0.0 };
        let mut made = Candidate { what: self.named(item), item, coded, masked, picoseconds: 0, error };
        made.picoseconds = picoseconds(cx.cost.unwrap_or(&PlainCost), cx.ops, layer, made.form());
        made
    }

    /// What an item of the menu is called.
    pub(super) fn named(&self, [rounded, sparsity]: [usize; 2]) -> String {
        let name = match rounded.checked_sub(1) {
            Some(at) => self.menu.name(at),
            None => "f32",
        };
        match sparsity.checked_sub(1) {
            Some(at) => format!("{name}, {:.0} % of its inputs zero", self.menu.sparsity[at] * 100.0),
            None => name.to_string(),
        }
    }
}

/// The matrices of all layers as `bf16`.
fn halves(facts: &Facts, linears: &[Linear]) -> Result<Vec<Arc<Coded>>, PassError> {
    let places: Vec<usize> = (0..linears.len()).collect();
    let all = exact(facts, linears, &places)?;
    let half = |matrix| Arc::new(Coded::Halves(Halves::new(matrix, Half::Bf16)));
    Ok(all.into_iter().map(half).collect())
}

impl Layers {
    /// Finds out how far all candidates but the exact ones are off.
    fn judge(&mut self, cx: &PassContext<'_>, module: &Module, facts: &Facts) -> Result<(), PassError> {
        let forms: Vec<Vec<Form<'_>>> =
            self.candidates.iter().map(|all| all[1..].iter().map(Candidate::form).collect()).collect();
        let errors = errors(cx, module, (facts, &self.linears), (&forms, On::Sample))?;
        for (all, errors) in self.candidates.iter_mut().zip(errors) {
            all[1..].iter_mut().zip(errors).for_each(|(candidate, error)| candidate.error = error);
            // A mask costs time in every trial, so that it has to be of use.
            let better: Vec<bool> = all.iter().map(|a| all.iter().any(|b| b.is_better(a))).collect();
            let mut better = better.into_iter();
            all.retain(|candidate| !better.next().unwrap_or_default() || candidate.masked.is_none());
        }
        Ok(())
    }

    /// What some candidates, one a layer, take together.
    pub(super) fn picoseconds(&self, picks: &[usize]) -> u64 {
        self.candidates.iter().zip(picks).map(|(all, pick)| all[*pick].picoseconds).sum()
    }

    /// The candidate of each layer that is this item of the menu; without its zeros where the layer has
    /// none with them.
    pub(super) fn everywhere(&self, item: [usize; 2]) -> Vec<usize> {
        let place = |all: &Vec<Candidate>, item| all.iter().position(|candidate| candidate.item == item);
        let pick = |all| place(all, item).or_else(|| place(all, [item[0], 0])).unwrap_or_default();
        self.candidates.iter().map(pick).collect()
    }
}
