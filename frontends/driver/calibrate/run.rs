//! Running the segments of a module on all inputs.
use super::measure::OnData;
use super::segments::{Feed, Segment};
use std::collections::BTreeMap;
use std::sync::Arc;
use weft_ir::{Graph, Tensor, Value};
use weft_passes::{PassError, Ready, Tapped, Visit};

/// A run of a module, segment by segment.
pub(super) struct Run<'r> {
    on: &'r OnData<'r>,
    graph: &'r Graph,
    groups: &'r [Vec<Value>],
    segments: &'r [Segment],
    /// Each segment as text. Equal ones are made ready once.
    texts: Vec<String>,
    /// The last segment that needs a value.
    last: BTreeMap<Value, usize>,
    /// What is known of each input: the values that later segments need.
    known: Vec<BTreeMap<Value, Tensor>>,
}

impl<'r> Run<'r> {
    pub(super) fn new(
        on: &'r OnData<'r>,
        (graph, groups): (&'r Graph, &'r [Vec<Value>]),
        segments: &'r [Segment],
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
        Self { on, graph, groups, segments, texts, last, known: vec![BTreeMap::new(); on.count()] }
    }

    /// Runs all segments, and lends `visit` each group of values once an input.
    pub(super) fn all(mut self, visit: &mut Visit<'_>) -> Result<(), PassError> {
        let mut ready: BTreeMap<&str, Arc<dyn Ready>> = BTreeMap::new();
        let texts = std::mem::take(&mut self.texts);
        for (number, segment) in self.segments.iter().enumerate() {
            let text = texts[number].as_str();
            if !segment.yields.is_empty() && !ready.contains_key(text) {
                self.tell(number, "compiling");
                ready.insert(text, self.on.fresh(&segment.module)?);
            }
            for input in 0..self.known.len() {
                self.tell(number, &format!("input {} of {}", input + 1, self.known.len()));
                let inputs = self.on.input(input)?;
                if let Some(ready) = ready.get(text) {
                    self.step((number, input), (&**ready, &inputs))?;
                }
                for group in &segment.groups {
                    let values = self.groups[*group].iter().map(|value| self.value(input, &inputs, *value));
                    let values: Vec<Tensor> = values.collect::<Result<_, _>>()?;
                    let last = input + 1 == self.known.len();
                    visit(Tapped { group: *group, input, last }, &values)?;
                }
                self.known[input].retain(|value, _| self.last.get(value).is_some_and(|last| *last > number));
            }
            if !texts[number + 1..].iter().any(|later| later == text) {
                ready.remove(text);
            }
        }
        Ok(())
    }

    fn tell(&self, segment: usize, what: &str) {
        self.on.say(&format!("calibrating: part {} of {}, {what}", segment + 1, self.segments.len()));
    }

    /// Runs one segment on one input.
    fn step(
        &mut self,
        (number, input): (usize, usize),
        (ready, inputs): (&dyn Ready, &[Tensor]),
    ) -> Result<(), PassError> {
        let segment = &self.segments[number];
        let feed = |feed: &Feed| match feed {
            Feed::Input(at) => Ok(inputs[*at].clone()),
            Feed::Carried(value) => self.value(input, inputs, *value),
            Feed::Constant(tensor) => Ok((**tensor).clone()),
        };
        let fed: Vec<Tensor> = segment.feeds.iter().map(feed).collect::<Result<_, _>>()?;
        self.known[input].extend(segment.yields.iter().copied().zip(ready.run(&fed)?));
        Ok(())
    }

    fn value(&self, input: usize, inputs: &[Tensor], value: Value) -> Result<Tensor, PassError> {
        let given = self.graph.inputs().iter().position(|id| *id == value.node);
        let found = given.map_or_else(|| self.known[input].get(&value), |at| inputs.get(at));
        let gone = || format!("calibration: `%{}` was not computed", self.graph.name_of(value));
        found.cloned().ok_or_else(|| PassError::Failed(gone()))
    }
}
