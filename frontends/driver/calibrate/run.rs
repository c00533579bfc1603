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

#[cfg(test)]
mod tests {
    use crate::calibrate::{Calibration, OnData};
    use crate::driver::Driver;
    use crate::ports::Ports;
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;
    use weft_ir::text::NoWeights;
    use weft_ir::{Attr, Module, OpSet, Tensor, Value};
    use weft_passes::{AsTheyStand, Constants, Measure, PassError, Streamed};

    /// Three layers, each added to what goes in.
    const MODULE: &str = "weft 1 canonical
weight @a : f32[3, 3] = seeded(1)
weight @b : f32[3, 3] = seeded(2)
weight @c : f32[3, 3] = seeded(3)
graph @main(%x: f32[N, 3]) -> (f32[N, 3], f32[N, 3]) {
    %a = Const() {value = @a} : f32[3, 3]
    %b = Const() {value = @b} : f32[3, 3]
    %c = Const() {value = @c} : f32[3, 3]
    %p = MatMul(%x, %a) : f32[N, 3]
    %q = Add(%x, %p) : f32[N, 3]
    %r = MatMul(%q, %b) : f32[N, 3]
    %s = Add(%q, %r) : f32[N, 3]
    %t = MatMul(%s, %c) : f32[N, 3]
    %u = Add(%s, %t) : f32[N, 3]
    return %u, %q
}
";

    /// Twice the numbers of some constants.
    struct Doubled(BTreeMap<Value, Tensor>);

    impl Doubled {
        fn of(module: &Module, values: &[Value]) -> Self {
            let doubled = |value: &Value| {
                let tensor = module.graph.constant(*value).unwrap();
                let numbers: Vec<f32> = tensor.to_vec::<f32>().unwrap().iter().map(|x| 2.0 * x).collect();
                (*value, Tensor::from_slice(tensor.dims(), &numbers).unwrap())
            };
            Self(values.iter().map(doubled).collect())
        }
    }

    impl Constants for Doubled {
        fn has(&self, constant: Value) -> bool {
            self.0.contains_key(&constant)
        }

        fn numbers(&self, constant: Value) -> Result<Tensor, PassError> {
            Ok(self.0[&constant].clone())
        }
    }

    type Seen = BTreeMap<(usize, usize), Tensor>;

    fn seen(run: &mut dyn FnMut(&mut weft_passes::Visit<'_>) -> Result<(), PassError>) -> Seen {
        let mut seen = Seen::new();
        run(&mut |tapped, values| {
            seen.insert((tapped.group, tapped.input), values[0].clone());
            Ok(())
        })
        .unwrap();
        seen
    }

    #[test]
    fn other_constants_are_as_good_as_another_module() {
        let module = Module::parse(MODULE, OpSet::builtin(), &NoWeights).unwrap();
        let input =
            |n: u64| vec![Arc::new(Tensor::from_slice(&[n, 3], &vec![n as f32; 3 * n as usize]).unwrap())];
        let ports = Ports::of_graph(&module.graph);
        let data = Calibration::held("test", vec![input(2), input(5)], &ports).unwrap();
        let driver = Driver::new().unwrap();
        let on = OnData::new(&driver, &data);
        let groups: Vec<Vec<Value>> = module.graph.outputs().iter().map(|value| vec![*value]).collect();
        let matrices: Vec<Value> = module.graph.nodes().take(3).map(|node| Value { node, slot: 0 }).collect();
        let open: BTreeSet<Value> = matrices.iter().copied().collect();
        let run: Box<dyn Streamed + '_> = on.prepare(&module, &groups, &open).unwrap();
        let as_it_stands = seen(&mut |visit| run.run(usize::MAX, &AsTheyStand, visit));
        assert_eq!(as_it_stands, seen(&mut |visit| on.stream(&module, &groups, visit)));
        // What the first run knows is of use to all but the last but one.
        for changed in [&matrices[2..], &matrices[1..2], &matrices[..1], &[]] {
            let other = Doubled::of(&module, changed);
            let mut instead = module.clone();
            for (value, tensor) in &other.0 {
                let attr = Attr::Tensor(Arc::new(tensor.clone()));
                instead.graph.node_mut(value.node).attrs.insert("value".to_string(), attr);
            }
            let expected = seen(&mut |visit| on.stream(&instead, &groups, visit));
            assert_eq!(seen(&mut |visit| run.run(usize::MAX, &other, visit)), expected);
            let first = seen(&mut |visit| run.run(1, &other, visit));
            assert_eq!(first, expected.into_iter().filter(|((_, input), _)| *input == 0).collect());
        }
    }
}
