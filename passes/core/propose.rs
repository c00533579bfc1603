//! Lossy changes: proposed layer by layer, measured as a whole, taken back where they cost too much.
use crate::against::Exact;
use crate::editor::Editor;
use crate::facts::facts_of;
use crate::ledger::{ErrorBound, LedgerEntry, LedgerLine, ModelError, ValueError};
use crate::linear::Linear;
use crate::manager::Budget;
use crate::measure::Measure;
use crate::observer::Silent;
use crate::pass::{Declined, Outcome, PassContext, PassError};
use crate::rewriter::Rewriter;
use crate::trials::{Masks, Trials};
use std::collections::BTreeSet;
use std::sync::Arc;
use weft_ir::infer::Facts;
use weft_ir::{Module, NodeId, OpSet};

/// One layer of the main graph that a lossy pass would change, in one transaction.
pub struct Proposal<'p> {
    /// The layer.
    pub at: NodeId,
    /// What would be done to it.
    pub what: String,
    /// How far off its output would be; see [`LedgerLine::error`].
    pub error: ValueError,
    /// Does it.
    #[expect(clippy::type_complexity, reason = "a function with its data")]
    pub apply: Box<dyn Fn(&mut Rewriter<'_>) -> Result<(), Declined> + 'p>,
}

/// One way to change many layers of the main graph together, in one transaction.
pub struct Decision<'p> {
    /// What is told of it, once it is taken; asked before the module is changed.
    #[expect(clippy::type_complexity, reason = "a function with its data")]
    pub entry: Box<dyn Fn(&Module) -> Result<LedgerEntry, PassError> + 'p>,
    /// Does it.
    #[expect(clippy::type_complexity, reason = "a function with its data")]
    pub apply: Box<dyn Fn(&mut Rewriter<'_>) -> Result<(), Declined> + 'p>,
}

impl Editor<'_> {
    /// Makes a model ready for trials of other matrices in some of its layers, against the one before
    /// the first lossy pass.
    ///
    /// # Errors
    /// If a module cannot be run.
    pub fn trials<'m>(
        &self,
        at: (&'m dyn Measure, &OpSet),
        layers: (&Facts, &[Linear]),
        masks: Masks,
    ) -> Result<Trials<'m>, PassError> {
        let exact = self.exact().ok_or_else(not_lossy)?;
        Trials::new(at, (&exact, self), layers, masks)
    }

    /// Makes the first of some changes that is within all bounds, as measured on the changed model against
    /// the one before the first lossy pass, and enters it into the ledger; none if none is.
    ///
    /// # Errors
    /// If a module cannot be run, or a bound is about text and there is none.
    pub fn decide(
        &mut self,
        cx: &PassContext<'_>,
        (measure, bounds): (&dyn Measure, &[ErrorBound]),
        decisions: &[Decision<'_>],
    ) -> Result<Outcome, PassError> {
        let exact = self.exact().ok_or_else(not_lossy)?;
        let mut exact = Exact::new(measure, &exact)?;
        for decision in decisions {
            let change = |g: &mut Rewriter<'_>| whole(g, &decision.apply);
            let model = exact.against(&changed(self, cx.ops, &change)?)?;
            if !within(bounds, &model)? {
                continue;
            }
            let entry = (decision.entry)(self)?;
            self.main_graph(change)?;
            self.left_exact(&entry, bounds);
            self.enter(&LedgerEntry { data: Some(measure.describe()), model: Some(model), ..entry });
            break;
        }
        Ok(self.outcome())
    }

    /// Makes the proposed changes. With data to judge by, the whole model is then measured against
    /// the one before the first lossy pass; if its error is out of bounds, the fewest layers are left
    /// as they were, the worst first, that bring it back. All of it goes into the ledger.
    ///
    /// # Errors
    /// If a module cannot be run.
    pub fn propose(
        &mut self,
        cx: &PassContext<'_>,
        proposals: &[Proposal<'_>],
    ) -> Result<Outcome, PassError> {
        let most =
            self.rewrites_left().map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
        let proposals = &proposals[..proposals.len().min(most)];
        if proposals.is_empty() {
            return Ok(self.outcome());
        }
        let exact = self.exact().ok_or_else(not_lossy)?;
        let (dropped, model) = match cx.judge() {
            None => (BTreeSet::new(), None),
            Some(measure) => {
                let trial = Trial { base: self, ops: cx.ops, measure, proposals };
                let (dropped, model) = trial.within(&mut Exact::new(measure, &exact)?, cx.bound)?;
                (dropped, Some(model))
            }
        };
        let entry = entry(self, cx, proposals, &dropped, model);
        let kept: Vec<_> = proposals.iter().filter(|proposal| !dropped.contains(&proposal.at)).collect();
        self.main_graph(|g| apply(g, &kept, cx.measure))?;
        self.left_exact(&entry, cx.bound.as_slice());
        self.enter(&entry);
        Ok(self.outcome())
    }

    /// Tells why layers were left exact.
    fn left_exact(&mut self, entry: &LedgerEntry, bounds: &[ErrorBound]) {
        let bounds: Vec<String> = bounds.iter().map(ToString::to_string).collect();
        for line in entry.layers.iter().filter(|line| line.backed_off) {
            let why = format!("the model's error would be out of the bound {}", bounds.join(" or "));
            self.decline(&line.layer, &why.into());
        }
    }
}

fn not_lossy() -> PassError {
    PassError::Failed("only lossy passes propose changes".to_string())
}

/// Whether an error is within all bounds.
///
/// # Errors
/// If a bound is about text and there was none.
pub fn within(bounds: &[ErrorBound], error: &ModelError) -> Result<bool, PassError> {
    let about_text =
        || PassError::Failed("the bound on the error needs a text as calibration data".to_string());
    bounds.iter().try_fold(true, |all, bound| Ok(all && bound.holds(error).ok_or_else(about_text)?))
}

/// A change of a whole graph, in one transaction.
fn whole(
    g: &mut Rewriter<'_>,
    apply: &dyn Fn(&mut Rewriter<'_>) -> Result<(), Declined>,
) -> Result<(), PassError> {
    let Some(last) = g.order().last().copied() else { return Ok(()) };
    g.attempt(last, &mut |g, _| apply(g)).map(drop)
}

/// A copy of a module with a change of its main graph.
fn changed(
    base: &Module,
    ops: &OpSet,
    change: &dyn Fn(&mut Rewriter<'_>) -> Result<(), PassError>,
) -> Result<Module, PassError> {
    let mut module = base.clone();
    let facts = Arc::new(facts_of(&module.graph, ops));
    let (bound, mut silent, mut budget) = (BTreeSet::new(), Silent, Budget::default());
    let log = crate::editor::Log { rule: "trial".into(), observer: &mut silent, budget: &mut budget };
    change(&mut Rewriter::new(&mut module.graph, ops, (facts, &bound), log))?;
    Ok(module)
}

fn entry(
    module: &Module,
    cx: &PassContext<'_>,
    proposals: &[Proposal<'_>],
    dropped: &BTreeSet<NodeId>,
    model: Option<ModelError>,
) -> LedgerEntry {
    let line = |proposal: &Proposal<'_>| LedgerLine {
        layer: module.graph.node(proposal.at).label().to_string(),
        what: proposal.what.clone(),
        error: proposal.error,
        backed_off: dropped.contains(&proposal.at),
        picoseconds: None,
    };
    let data = cx.judge().map(Measure::describe);
    LedgerEntry {
        pass: String::new(),
        data,
        layers: proposals.iter().map(line).collect(),
        model,
        tried: Vec::new(),
    }
}

/// Makes the changes, one after the other, as each may read the weights of its layer.
fn apply(
    g: &mut Rewriter<'_>,
    proposals: &[&Proposal<'_>],
    measure: Option<&dyn Measure>,
) -> Result<(), PassError> {
    for (number, proposal) in proposals.iter().enumerate() {
        if let Some(measure) = measure {
            measure.tell(&format!("changing layer {} of {}", number + 1, proposals.len()));
        }
        g.attempt(proposal.at, &mut |g, _| (proposal.apply)(g))?;
    }
    Ok(())
}

/// A module, and what may be done to it.
struct Trial<'t> {
    base: &'t Module,
    ops: &'t OpSet,
    measure: &'t dyn Measure,
    proposals: &'t [Proposal<'t>],
}

impl Trial<'_> {
    /// The fewest layers to drop for a model within the bound, and its error.
    fn within(
        &self,
        exact: &mut Exact<'_>,
        bound: Option<ErrorBound>,
    ) -> Result<(BTreeSet<NodeId>, ModelError), PassError> {
        let error = self.without(exact, 0)?;
        let holds = |error: &ModelError| within(bound.as_slice(), error);
        if holds(&error)? {
            return Ok((BTreeSet::new(), error));
        }
        // Fewer changed layers are taken to err less: the right number lies between these.
        let (mut too_few, mut enough) = (0, (self.proposals.len(), None));
        while enough.0 - too_few > 1 {
            let count = too_few + (enough.0 - too_few) / 2;
            let error = self.without(exact, count)?;
            match holds(&error)? {
                true => enough = (count, Some(error)),
                false => too_few = count,
            }
        }
        let error = match enough.1 {
            Some(error) => error,
            None => self.without(exact, enough.0)?,
        };
        Ok((self.worst(enough.0), error))
    }

    /// The layers of the largest errors.
    fn worst(&self, count: usize) -> BTreeSet<NodeId> {
        let mut order: Vec<&Proposal<'_>> = self.proposals.iter().collect();
        order.sort_by(|a, b| b.error.relative_mse.total_cmp(&a.error.relative_mse));
        order.iter().take(count).map(|proposal| proposal.at).collect()
    }

    /// The error with all changes but the worst ones.
    fn without(&self, exact: &mut Exact<'_>, count: usize) -> Result<ModelError, PassError> {
        let dropped = self.worst(count);
        let kept = self.proposals.iter().filter(|proposal| !dropped.contains(&proposal.at));
        let kept: Vec<_> = kept.collect();
        let module = changed(self.base, self.ops, &|g| apply(g, &kept, Some(self.measure)))?;
        self.measure.tell("the changed model");
        exact.against(&module)
    }
}

/// The module with these changes made, for looking at what they would do.
///
/// # Errors
/// If one of them breaks the graph.
pub fn changed_by(module: &Module, ops: &OpSet, proposals: &[&Proposal<'_>]) -> Result<Module, PassError> {
    changed(module, ops, &|g| apply(g, proposals, None))
}
