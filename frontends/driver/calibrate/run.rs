//! Running the segments of a module on all inputs.
use super::before::Before;
use super::measure::OnData;
use super::segments::{Feed, Segment, fed};

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use weft_frontend::give_back_mapped;
use weft_ir::{Graph, Tensor, Value};
use weft_passes::{Constants, PassError, Ready, Streamed, Tapped, Visit};

/// So many bytes of constants are read before what is mapped of the model is given back.
const MOST_MAPPED: usize = 64 << 20;

/// For how long segments that were made ready stay so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// Until the last segment that is equal to one was run.
    WhileNeeded,
    /// For the next run, too.
    ForMore,
}

/// A module in segments, to be run one after the other.
pub(super) struct Run<'r> {
    on: &'r OnData<'r>,
    graph: Graph,
    groups: Vec<Vec<Value>>,
    segments: Vec<Segment>,
    /// Each segment as text. Equal ones are made ready once.
    texts: Vec<String>,
    /// The last segment that needs a value.
    last: BTreeMap<Value, usize>,
    keep: Keep,
    ready: Mutex<BTreeMap<String, Arc<dyn Ready>>>,
    /// With constants as they stand.
    before: Mutex<Before>,
}

/// What is known of each input: the values that later segments need.
type Known = Vec<BTreeMap<Value, Tensor>>;

impl<'r> Run<'r> {
    pub(super) fn new(
        on: &'r OnData<'r>,
        (graph, groups): (Graph, Vec<Vec<Value>>),
        segments: Vec<Segment>,
        keep: Keep,
    ) -> Self {
        let mut last = BTreeMap::new();
        for (number, segment) in segments.iter().enumerate() {
            let fed = segment.feeds.iter().filter_map(|feed| match feed {
                Feed::Carried(value) => Some(*value),
                _ => None,
            });
            let looked_at = segment.groups.iter().flat_map(|group| groups[*group].iter().copied());
            last.extend(fed.chain(looked_at).map(|value| (value, number)));
        }
        let texts = segments.iter().map(|segment| on.written(&segment.module)).collect();
        Self {
            on,
            graph,
            groups,
            segments,
            texts,
            last,
            keep,
            ready: Mutex::default(),
            before: Mutex::default(),
        }
    }

    /// What runs a segment; nothing if it computes nothing.
    fn ready(&self, number: usize) -> Result<Option<Arc<dyn Ready>>, PassError> {
        let (segment, text) = (&self.segments[number], &self.texts[number]);
        let mut all = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let again = self.keep == Keep::ForMore || self.texts[number + 1..].contains(text);
        if segment.yields.is_empty() {
            return Ok(None);
        }
        let ready = match all.remove(text) {
            Some(ready) => ready,
            None => {
                self.tell(number, "compiling");
                self.on.fresh(&segment.module)?
            }
        };
        if again {
            all.insert(text.clone(), ready.clone());
        }
        Ok(Some(ready))
    }

    fn tell(&self, segment: usize, what: &str) {
        self.on.say(&format!("part {} of {}, {what}", segment + 1, self.segments.len()));
    }

    /// The constants that go into a segment, by the places they go to.
    fn constants(
        &self,
        number: usize,
        constants: &dyn Constants,
    ) -> Result<BTreeMap<usize, Tensor>, PassError> {
        let mut found = BTreeMap::new();
        for (place, feed) in self.segments[number].feeds.iter().enumerate() {
            let Feed::Constant(value, tensor) = feed else { continue };
            let other = constants.has(*value).then(|| constants.numbers(*value)).transpose()?;
            let other = other.as_ref().unwrap_or(tensor);
            let fits = other.dtype() == tensor.dtype() && other.dims() == tensor.dims();
            let wrong =
                || format!("calibration: `%{}` is no constant to run with", self.graph.name_of(*value));
            let fed = fed(other).filter(|_| fits).ok_or_else(|| PassError::Failed(wrong()))?;
            found.insert(place, fed);
        }
        Ok(found)
    }

    /// Runs one segment on one input.
    fn step(
        &self,
        number: usize,
        (ready, inputs, constants): (&dyn Ready, &[Tensor], &BTreeMap<usize, Tensor>),
        known: &mut BTreeMap<Value, Tensor>,
    ) -> Result<(), PassError> {
        let segment = &self.segments[number];
        let feed = |(place, feed): (usize, &Feed)| match feed {
            Feed::Input(at) => Ok(inputs[*at].clone()),
            Feed::Carried(value) => self.value(known, inputs, *value),
            Feed::Constant(_, tensor) => Ok(constants.get(&place).unwrap_or(tensor).clone()),
        };
        let fed: Vec<Tensor> = segment.feeds.iter().enumerate().map(feed).collect::<Result<_, _>>()?;
        known.extend(segment.yields.iter().copied().zip(ready.run(&fed)?));
        Ok(())
    }

    fn value(
        &self,
        known: &BTreeMap<Value, Tensor>,
        inputs: &[Tensor],
        value: Value,
    ) -> Result<Tensor, PassError> {
        let given = self.graph.inputs().iter().position(|id| *id == value.node);
        let found = given.map_or_else(|| known.get(&value), |at| inputs.get(at));
        let gone = || format!("calibration: `%{}` was not computed", self.graph.name_of(value));
        found.cloned().ok_or_else(|| PassError::Failed(gone()))
    }

    /// Whether all constants of a segment are as they stand.
    fn stands(&self, number: usize, constants: &dyn Constants) -> bool {
        let changed = |feed: &Feed| matches!(feed, Feed::Constant(value, _) if constants.has(*value));
        !self.segments[number].feeds.iter().any(changed)
    }

    /// Runs one segment on all inputs, or takes what it yields from an earlier run, and lends the groups of
    /// which it has the last values. `stands` says whether all constants up to here are as they stand. Says
    /// how many bytes of constants were read.
    fn segment(
        &self,
        number: usize,
        (constants, stands): (&dyn Constants, bool),
        known: &mut Known,
        visit: &mut Visit<'_>,
    ) -> Result<usize, PassError> {
        let (aside, count) = (stands && self.keep == Keep::ForMore, known.len());
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        let again = aside && before.knows(number, count);
        let ready = if again { None } else { self.ready(number)? };
        let fed = if ready.is_some() { self.constants(number, constants)? } else { BTreeMap::new() };
        for (input, known) in known.iter_mut().enumerate() {
            let (inputs, yields) = (self.on.input(input)?, &self.segments[number].yields);
            if let Some(ready) = &ready {
                self.tell(number, &format!("input {} of {count}", input + 1));
                self.step(number, (&**ready, &inputs, &fed), known)?;
            }
            match aside {
                true if again => before.take((number, input), yields, known)?,
                true => before.put((number, input), yields, known)?,
                false => {}
            }
            for group in &self.segments[number].groups {
                let values = self.groups[*group].iter().map(|value| self.value(known, &inputs, *value));
                let values: Vec<Tensor> = values.collect::<Result<_, _>>()?;
                visit(Tapped { group: *group, input, last: input + 1 == count }, &values)?;
            }
            known.retain(|value, _| self.last.get(value).is_some_and(|last| *last > number));
        }
        Ok(fed.values().map(|tensor| tensor.data().len()).sum())
    }
}

impl Streamed for Run<'_> {
    fn run(&self, inputs: usize, constants: &dyn Constants, visit: &mut Visit<'_>) -> Result<(), PassError> {
        let mut known: Known = vec![BTreeMap::new(); inputs.min(self.on.count())];
        let (mut stands, mut mapped) = (true, 0);
        for number in 0..self.segments.len() {
            stands &= self.stands(number, constants);
            mapped += self.segment(number, (constants, stands), &mut known, visit)?;
            if mapped > MOST_MAPPED {
                give_back_mapped();
                mapped = 0;
            }
        }
        give_back_mapped();
        Ok(())
    }
}
