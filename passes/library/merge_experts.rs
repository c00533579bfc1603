//! Makes one feed-forward network of the experts that tokens are dealt out to at random.
//!
//! Before: `%o = TopK(RandomUniform(), ...)`, `%p = Gather(%x, %o)` in equal parts, part i through
//! `MatMul`, `Gelu`, `MatMul` with the weights of expert i, and back by the inverse order. After:
//! `%h = MatMul(%x, %w1)`, `%a = Gelu(%h)`, `%y = MatMul(%a, %w2)` with the averages of the weights. This is how
//! training by "Experts Weights Averaging" (arXiv 2308.06093) ends: in the model that was there before.
//!
//! The expectation over the random order is the average of what the experts give; the average of their
//! weights gives the same but for terms of second order in the experts' distance from their average.
//! That distance, relative and in the Frobenius norm, must not be more than `spread` for any weight.
//! `mode=concat` puts the experts side by side instead: the expectation itself, for the time of all
//! experts. Experts stacked along an axis and experts on slices are both taken, for whole batches and for
//! single samples.
//!
//! Where a router weighs the experts, or the order depends on the tokens, merging them makes another model.
//! It is done for dense gates and for experts that run on the tokens they were chosen for, on request alone:
//! `routed=uniform` averages them evenly, `routed=frequency` by how much the router gives each on calibration
//! data, `routed=cluster:K` likewise within K groups of stacked experts that are close to each other, which the
//! router then weighs by the sums of their gates. Weights of few bits become averages in floats, for
//! `quantize-weights` to round again. The gates are taken to add up to one; `spread` does not bind, but is told.
//!
//! The ledger has a line for each network that is made. Its error is that of the output on the calibration data,
//! of one draw of the order; without data, that of the experts' weights: 0 where all experts are the same, or stay.
//! With `--max-error` those that err most are given back.
//!
//! Left alone are experts of other shapes or operators, parts of different sizes, operators that do not work
//! token by token, and experts within control flow. Experts that are averaged by the model itself are constants:
//! `fold-weight-expressions` folds them.
mod codes;
mod errors;
mod groups;
mod linear;
mod order;
mod parts;
mod region;
mod routed;
mod weights;

use groups::{Distances, Groups};
use order::is_random;
use parts::{Partition, begin, end, partition};
use region::Region;
use routed::{Routed, Shares};
use weft_ir::{NodeId, Stage, Value};
use weft_passes::{
    Declined, Editor, ErrorSum, OptionError, OptionInfo, Options, Outcome, Pass, PassContext, PassError,
    PassInfo, PassKind, Proposal, Rewriter, graph_paths,
};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "merge-experts",
    summary: "makes one network of experts that tokens are dealt out to at random",
    options: &[
        OptionInfo {
            name: "spread",
            default: "0.1",
            help: "how far an expert may be from the average, relative to it",
        },
        OptionInfo {
            name: "mode",
            default: "average",
            help: "`average` of the weights, or `concat`: all experts side by side, exact and as slow as all of them",
        },
        OptionInfo {
            name: "routed",
            default: "none",
            help: "which experts behind a router are averaged: `none`, all of them in `uniform` shares, by their `frequency` on calibration data, or so in K groups, `cluster:K`",
        },
    ],
    kind: PassKind::Lossy,
    accepts: (Stage::Canonical, Stage::Lowered),
    build: &|options| {
        let (spread, form, routed) = (options.number("spread")?, form(options)?, router(options)?);
        if form == Form::Concat && routed != Router::Stays {
            return Err(OptionError::Refused("`mode=concat` is not for routed experts".to_string()));
        }
        Ok(Box::new(MergeExperts { spread, form, routed }))
    },
};

/// What the experts become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// One network of averaged weights.
    Average,
    /// One network as wide as all of them.
    Concat,
}

fn form(options: &Options) -> Result<Form, OptionError> {
    match options.text("mode") {
        "average" => Ok(Form::Average),
        "concat" => Ok(Form::Concat),
        other => Err(OptionError::Value {
            name: "mode".to_string(),
            value: other.to_string(),
            expected: "`average` or `concat`",
        }),
    }
}

/// What becomes of experts that are routed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Router {
    /// They stay.
    Stays,
    /// All count alike.
    Uniform,
    /// Each counts as much as the router gives it on calibration data.
    Frequency,
    /// The same within groups of experts that are close to each other: so many networks are left.
    Groups(usize),
}

fn router(options: &Options) -> Result<Router, OptionError> {
    match options.text("routed") {
        "none" => Ok(Router::Stays),
        "uniform" => Ok(Router::Uniform),
        "frequency" => Ok(Router::Frequency),
        other => {
            let groups = other.strip_prefix("cluster:").and_then(|count| count.parse().ok());
            groups.filter(|count| *count > 0).map(Router::Groups).ok_or_else(|| OptionError::Value {
                name: "routed".to_string(),
                value: other.to_string(),
                expected: "`none`, `uniform`, `frequency` or `cluster:K` with K networks to be left",
            })
        }
    }
}

struct MergeExperts {
    spread: f64,
    form: Form,
    routed: Router,
}

/// One network in the place of experts, before it is put there.
struct Merged {
    /// What it gives.
    value: Value,
    /// What it takes.
    tokens: Value,
    /// How it was made.
    what: String,
    /// How far the experts' weights are from its own.
    weights: ErrorSum,
}

/// Where experts can be merged.
struct Place {
    at: NodeId,
    tokens: Value,
    what: String,
    weights: ErrorSum,
}

impl Pass for MergeExperts {
    fn run(&self, edit: &mut Editor<'_>, cx: &PassContext<'_>) -> Result<Outcome, PassError> {
        let shares = match self.routed {
            Router::Frequency => routed::measured(edit, cx.data_for("routed=frequency")?)?,
            Router::Groups(_) => routed::measured(edit, cx.data_for("routed=cluster:K")?)?,
            Router::Stays | Router::Uniform => Shares::new(),
        };
        let places = self.places(edit, &shares)?;
        let mut proposals: Vec<Proposal<'_>> =
            places.iter().map(|place| self.proposal(place, &shares)).collect();
        if let Some(measure) = cx.judge() {
            let tokens: Vec<Value> = places.iter().map(|place| place.tokens).collect();
            errors::of_outputs(measure, (edit, cx.ops), &mut proposals, &tokens)?;
        }
        edit.propose(cx, &proposals)
    }
}

impl MergeExperts {
    /// The places where experts can be merged; nothing is changed yet.
    fn places(&self, edit: &mut Editor<'_>, shares: &Shares) -> Result<Vec<Place>, PassError> {
        // The main graph comes last.
        let (mut places, mut left) = (Vec::new(), graph_paths(&edit.graph).len());
        edit.each_graph(|g| {
            left = left.saturating_sub(1);
            g.each_node(&mut |g: &mut Rewriter<'_>, id| {
                let Some(Merged { tokens, what, weights, .. }) = self.merged(g, id, shares)? else {
                    return Ok(());
                };
                if left > 0 {
                    return Err("the experts are within control flow".into());
                }
                places.push(Place { at: id, tokens, what, weights });
                Ok(())
            })
        })?;
        Ok(places)
    }

    fn proposal<'p>(&'p self, place: &'p Place, shares: &'p Shares) -> Proposal<'p> {
        Proposal {
            at: place.at,
            what: place.what.clone(),
            error: place.weights.error(),
            apply: Box::new(|g| self.put(g, place.at, shares)),
        }
    }

    fn put(&self, g: &mut Rewriter<'_>, id: NodeId, shares: &Shares) -> Result<(), Declined> {
        let merged = self.merged(g, id, shares)?.ok_or("the experts are gone")?;
        g.replace(g.result(id), merged.value);
        Ok(())
    }

    /// The network of the experts whose results come together at a node, if there are any.
    fn merged(&self, g: &mut Rewriter<'_>, id: NodeId, shares: &Shares) -> Result<Option<Merged>, Declined> {
        let merged = match partition(g, id) {
            Some(found) => Some(self.dealt(g, &found)?),
            None => match routed::routed(g, id) {
                Some(found) => self.averaged(g, &found, shares.get(&id))?,
                None => None,
            },
        };
        if merged.as_ref().is_some_and(|merged| !g.same_type(merged.value, g.result(id))) {
            return Err("the tokens come back in another shape".into());
        }
        Ok(merged)
    }

    /// Merges experts that tokens are dealt out to at random.
    fn dealt(&self, g: &mut Rewriter<'_>, found: &Partition) -> Result<Merged, Declined> {
        is_random(g, found.order)?;
        let begin = |g: &Rewriter<'_>, lanes: &[Value]| begin(g, lanes, found);
        let mut region = Region::new(self.form, &begin);
        let end = end(g, found.dealt);
        let value = region.rewrite(g, &end)?;
        let (count, _) = region.experts.ok_or("no weight differs from expert to expert")?;
        let (spread, at) = &region.spread;
        if self.form == Form::Average && (spread.is_nan() || *spread > self.spread) {
            return Err(format!(
                "at `%{at}` an expert is {spread:.3} from the average, more than {}",
                self.spread
            )
            .into());
        }
        let what = match self.form {
            Form::Average => format!("{count} experts averaged, at most {spread:.3} from the average"),
            Form::Concat => format!("{count} experts side by side"),
        };
        region.done(value, what)
    }

    /// Averages experts that are routed, if that is asked for.
    fn averaged(
        &self,
        g: &mut Rewriter<'_>,
        found: &Routed,
        shares: Option<&Vec<f64>>,
    ) -> Result<Option<Merged>, Declined> {
        let begin = |g: &Rewriter<'_>, lanes: &[Value]| Ok(found.begin(g, lanes));
        let mut region = Region::new(Form::Average, &begin);
        region.broadcasts = true;
        region.shares = shares.cloned().unwrap_or_default();
        region.distances = matches!(self.routed, Router::Groups(_)).then(Distances::default);
        let value = match region.rewrite(g, &found.experts) {
            Ok(value) => value,
            // Not every weighted sum is one of experts.
            Err(_) if self.routed == Router::Stays => return Ok(None),
            Err(why) => return Err(why),
        };
        let Some((count, place)) = region.experts else { return Ok(None) };
        self.admits(count, shares)?;
        found.adds_up(count, place)?;
        if let (Some(distances), Some(shares), Router::Groups(wanted)) =
            (&region.distances, shares, self.routed)
        {
            return grouped(g, found, Groups::of(distances.groups(wanted), shares)).map(Some);
        }
        let (spread, even) = (region.spread.0, vec![1.0 / count as f64; count]);
        let shares: Vec<_> = shares.unwrap_or(&even).iter().map(|share| format!("{share:.3}")).collect();
        let shares = shares.join(", ");
        let what =
            format!("{count} routed experts averaged by {shares}, at most {spread:.3} from the average");
        region.done(value, what).map(Some)
    }

    /// Whether so many routed experts are to be merged.
    fn admits(&self, count: usize, shares: Option<&Vec<f64>>) -> Result<(), Declined> {
        let wanted = if let Router::Groups(wanted) = self.routed { wanted } else { 1 };
        let unknown = shares.is_none_or(|shares| shares.len() != count);
        match self.routed {
            Router::Stays => {
                Err("the experts are routed; `routed=uniform` or `routed=frequency` merges them all the same"
                    .into())
            }
            _ if count <= wanted => Err(format!("there are no more than {count} experts").into()),
            Router::Frequency | Router::Groups(_) if unknown => {
                Err("what the router gives these experts was not measured, or is nothing".into())
            }
            _ => Ok(()),
        }
    }
}

/// One network for each group of routed experts, weighed by what the router gives the group.
fn grouped(g: &mut Rewriter<'_>, found: &Routed, groups: Groups) -> Result<Merged, Declined> {
    let begin = |g: &Rewriter<'_>, lanes: &[Value]| Ok(found.begin(g, lanes));
    let mut region = Region::new(Form::Average, &begin);
    region.broadcasts = true;
    region.groups = groups;
    let given = region.rewrite(g, &found.experts)?;
    let groups = &region.groups.members;
    let value = groups::weighed(g, found, groups, given)?;
    let count = groups.iter().map(Vec::len).sum::<usize>();
    let what = format!("{count} routed experts in {} groups: {groups:?}", groups.len());
    region.done(value, what)
}
