//! Control flow: loops. What is carried from trip to trip lies in memory of its own; a trip computes
//! the next values elsewhere and moves them there at its end.
use super::movement::place;
use super::runtime::known_integers;
use super::{Call, Handle, Lowering, Result, State, View};
use crate::program::{Memory, Step};
use crate::term::Index;
use std::collections::{BTreeMap, BTreeSet};
use weft_ir::{DType, Dim, Graph, Value};

/// A value carried from trip to trip.
struct Carried {
    /// What it begins as.
    begin: Handle,
    /// Its extents, in symbols of the region where they change.
    dims: Vec<Dim>,
    dtype: DType,
    view: View,
    /// The symbols that every trip decides anew.
    open: BTreeSet<String>,
}

/// Results put together from parts, one a trip.
struct Parts {
    dtype: DType,
    /// The result's own extents.
    dims: Vec<Dim>,
    /// The axis along which trips lie.
    axis: usize,
    /// Where the part of this trip goes.
    part: View,
    /// The whole.
    whole: View,
    /// The symbols of extents that the parts decide, all the same.
    open: BTreeSet<String>,
}

/// A loop while it is lowered.
struct Round {
    /// The region, with names of its own.
    graph: Graph,
    /// How often at most.
    trips: Dim,
    /// The number of the trip.
    index: u32,
    /// The same as an extent.
    count: Dim,
    carried: Vec<Carried>,
    parts: Vec<Parts>,
}

/// The most trips for which room is made ahead.
const MOST_PARTS: i64 = 1 << 31;

impl Lowering<'_> {
    fn round(&mut self, call: &Call<'_>, trips: Dim) -> Result<Round> {
        let graph = self.own_region(call, 0)?;
        let (index, count) = self.fresh_symbol("trip");
        Ok(Round { graph, trips, index, count, carried: Vec::new(), parts: Vec::new() })
    }

    /// `Loop`.
    pub(crate) fn repeat(&mut self, call: &Call<'_>) -> Result<Vec<Handle>> {
        let trips = match call.optional(0) {
            Some(_) => self.sizes(call, 0)?.first().cloned().ok_or("the number of trips is missing")?,
            None => Dim::fixed(i64::MAX),
        };
        let mut round = self.round(call, trips.larger(&Dim::fixed(0)))?;
        let carried = call.attrs.int("carried") as usize;
        let values: Vec<Handle> = call.operands.iter().skip(2).flatten().copied().collect();
        let (begin, captures) = values.split_at_checked(carried).ok_or("carried values are missing")?;
        captures.iter().for_each(|h| drop(self.force(*h)));
        let condition = self.loop_condition(call, &round.graph);
        self.begin_carried(call, &mut round, begin, 2)?;
        for i in 0..call.attrs.node.results.len().saturating_sub(carried) {
            self.begin_parts(call, &mut round, (carried + i, 1 + carried + i), (0, false))?;
        }
        let number = self.position(Index::constant(round.count.clone()));
        let yes = self.truth(true);
        let mut inputs = vec![self.lazy(Vec::new(), number), self.lazy(Vec::new(), yes)];
        inputs.extend(
            round
                .carried
                .iter()
                .map(|c| self.view(c.dtype, c.dims.clone(), c.view.clone()))
                .collect::<Vec<_>>(),
        );
        inputs.extend(captures);
        self.rounds(call, round, inputs, (1, condition))
    }

    /// The memory of the truth value asked before each trip; none if it always holds.
    fn loop_condition(&mut self, call: &Call<'_>, graph: &Graph) -> Option<Memory> {
        let first = call.optional(1);
        let begins = first.is_none() || known_integers(call, 1).is_some_and(|c| c == [Dim::fixed(1)]);
        let after = graph.outputs().first().copied();
        let goes_on = after.is_some_and(|value| {
            let constant = graph.constant(value).and_then(|t| t.to_i64s());
            constant == Some(vec![1]) || graph.inputs().get(1) == Some(&value.node)
        });
        if begins && goes_on {
            return None;
        }
        let view = self.allocate(DType::Bool, &[], "condition");
        let term = match first {
            Some(first) => self.single(first),
            None => self.truth(true),
        };
        self.write_kernel(term, None, &[], &view, "condition");
        Some(view.memory)
    }

    /// Memory for what is carried, with what it begins as. Inputs of the region from `first` on name it.
    fn begin_carried(
        &mut self,
        call: &Call<'_>,
        round: &mut Round,
        begin: &[Handle],
        first: usize,
    ) -> Result<()> {
        for (slot, handle) in begin.iter().enumerate() {
            let id = *round.graph.inputs().get(first + slot).ok_or("the body takes too few inputs")?;
            let ty = round.graph.ty(Value { node: id, slot: 0 });
            let dims = ty.dims.clone().ok_or("the rank of a carried value changes")?;
            let (dtype, found) = (ty.dtype, self.dims_of(*handle));
            if found.len() != dims.len() {
                return Err("the rank of a carried value changes".to_string());
            }
            self.force(*handle);
            let open = self.open_symbols(&dims);
            let view = if open.is_empty() && dims == call.dims(slot as u32)? {
                self.target(call, slot as u32, &dims)
            } else {
                for name in &open {
                    self.symbol(name);
                }
                self.decide(&dims, &found, &open);
                self.allocate(dtype, &dims, "carried")
            };
            self.copy(*handle, &view);
            round.carried.push(Carried { begin: *handle, dims, dtype, view, open });
        }
        Ok(())
    }

    /// Memory for the parts of all trips: result `slot` is made of output `output` of the region.
    fn begin_parts(
        &mut self,
        call: &Call<'_>,
        round: &mut Round,
        (slot, output): (usize, usize),
        (axis, backwards): (i64, bool),
    ) -> Result<()> {
        let value = *round.graph.outputs().get(output).ok_or("the body has too few outputs")?;
        let part_dims = round.graph.ty(value).dims.clone().ok_or("the rank of a part is not known")?;
        let (dims, dtype) = (call.dims(slot as u32)?, call.dtype(slot as u32));
        let axis = place(axis, dims.len())?;
        if round.trips.as_fixed().is_some_and(|n| n > MOST_PARTS) {
            return Err("results are collected from trips that nothing bounds".to_string());
        }
        let open = self.open_symbols(&part_dims);
        // The first trip finds out how large a part is; until then there are none.
        for name in &open {
            let symbol = self.symbol(name);
            self.step(Step::Set { symbol, value: Dim::fixed(0) });
        }
        self.provisional.extend(open.iter().cloned());
        let mut room = part_dims.clone();
        room.insert(axis, round.trips.clone());
        let whole = if open.is_empty() && dims == room {
            self.target(call, slot as u32, &dims)
        } else {
            self.allocate(dtype, &room, "parts")
        };
        let number = if backwards { round.trips.plus(-1).sub(&round.count) } else { round.count.clone() };
        let mut part = whole.clone();
        part.offset = part.offset.add(&part.strides[axis].mul(&number));
        part.strides.remove(axis);
        round.parts.push(Parts { dtype, dims, axis, part, whole, open });
        Ok(())
    }

    /// Lowers the body, writes the loop, and gives the results.
    fn rounds(
        &mut self,
        call: &Call<'_>,
        round: Round,
        inputs: Vec<Handle>,
        (first, condition): (usize, Option<Memory>),
    ) -> Result<Vec<Handle>> {
        let mut targets: BTreeMap<Value, View> = BTreeMap::new();
        let scans = first + round.carried.len();
        for (value, parts) in round.graph.outputs().iter().skip(scans).zip(&round.parts) {
            let plain = parts.open.is_empty() && parts.axis == 0;
            if plain && !round.graph.is_input(*value) {
                targets.entry(*value).or_insert_with(|| parts.part.clone());
            }
        }
        let body = self.region(&round.graph, &inputs, targets, |cx, outputs| {
            for (handle, parts) in outputs.iter().skip(scans).zip(&round.parts) {
                cx.put_part(*handle, parts, &round.trips);
            }
            let next: Vec<Handle> = outputs.iter().skip(first).take(round.carried.len()).copied().collect();
            cx.carry_on(&round.carried, &next);
            if let Some(memory) = condition {
                let goes_on = outputs.first().copied().ok_or("the body gives no condition")?;
                let term = cx.single(goes_on);
                cx.write_kernel(term, None, &[], &View::whole(memory, &[]), "condition");
            }
            Ok(())
        })?;
        let (index, trips) = (round.index, round.trips.clone());
        self.step(Step::Loop { index, trips, condition, body });
        self.loop_results(call, &round)
    }

    /// Puts the part of this trip into its place, making room first where its size was not known.
    fn put_part(&mut self, handle: Handle, parts: &Parts, trips: &Dim) {
        self.force(handle);
        if let Memory::Grown(grown) = parts.whole.memory
            && !parts.open.is_empty()
        {
            let bytes = Self::bytes(parts.dtype, &self.dims_of(handle)).mul(trips);
            self.step(Step::Grow { grown, bytes });
        }
        self.put(handle, &parts.part);
    }

    /// Moves the next values to where the carried ones lie. Those that still lie in such memory are
    /// moved out of the way first.
    fn carry_on(&mut self, carried: &[Carried], next: &[Handle]) {
        let theirs: BTreeSet<Memory> = carried.iter().map(|c| c.view.memory).collect();
        let mut moves = Vec::new();
        for (value, handle) in carried.iter().zip(next) {
            let view = self.force(*handle);
            if view == value.view && self.dims_of(*handle) == value.dims {
                continue;
            }
            let mut from = *handle;
            if theirs.contains(&view.memory) {
                let (dtype, dims) = (self.dtype_of(from), self.dims_of(from));
                let aside = self.allocate(dtype, &dims, "aside");
                self.copy(from, &aside);
                from = self.view(dtype, dims, aside);
            }
            moves.push((value, from));
        }
        // Extents of what comes next are told in those of this trip, which must last until all has moved.
        let mut decided = Vec::new();
        for (value, from) in moves {
            let found = self.dims_of(from);
            if let Memory::Grown(grown) = value.view.memory {
                self.step(Step::Grow { grown, bytes: Self::bytes(value.dtype, &found) });
            }
            let strides = View::whole(value.view.memory, &found).strides;
            self.copy(from, &View { strides, ..value.view.clone() });
            for (dim, next) in value.dims.iter().zip(found).filter(|(dim, next)| *dim != next) {
                let (symbol, name) = self.fresh_symbol("next");
                self.step(Step::Set { symbol, value: next });
                decided.push((value, dim.clone(), name));
            }
        }
        for (value, dim, next) in decided {
            self.decide(&[dim], &[next], &value.open);
        }
    }

    fn loop_results(&mut self, call: &Call<'_>, round: &Round) -> Result<Vec<Handle>> {
        let mut results = Vec::new();
        for (slot, value) in round.carried.iter().enumerate() {
            let dims = call.dims(slot as u32)?;
            debug_assert_eq!(dims.len(), self.dims_of(value.begin).len());
            self.define_extents(&dims, &value.dims);
            let strides = View::whole(value.view.memory, &dims).strides;
            results.push(self.view(value.dtype, dims, View { strides, ..value.view.clone() }));
        }
        for parts in &round.parts {
            self.provisional.retain(|name| !parts.open.contains(name));
            let mut found: Vec<Dim> = round.part_dims(parts);
            found.insert(parts.axis, round.count.clone());
            self.define_extents(&parts.dims, &found);
            results.push(self.view(parts.dtype, parts.dims.clone(), parts.whole.clone()));
        }
        Ok(results)
    }

    /// `Scan`.
    pub(crate) fn scan(&mut self, call: &Call<'_>) -> Result<Vec<Handle>> {
        let values: Vec<Handle> = call.operands.iter().flatten().copied().collect();
        let (states, scanned) = (call.attrs.int("states") as usize, call.attrs.int("scanned") as usize);
        let (begin, rest) = values.split_at_checked(states).ok_or("states are missing")?;
        let (slices, captures) = rest.split_at_checked(scanned).ok_or("nothing is scanned")?;
        values.iter().for_each(|h| drop(self.force(*h)));
        let axis_of = |cx: &Self, i: usize| {
            let given = call.attrs.ints("scan_input_axes").get(i).copied().unwrap_or(0);
            place(given, cx.dims_of(slices[i]).len())
        };
        let trips = match slices.first() {
            Some(first) => self.dims_of(*first)[axis_of(self, 0)?].clone(),
            None => return Err("nothing is scanned".to_string()),
        };
        let mut round = self.round(call, trips)?;
        self.begin_carried(call, &mut round, begin, 0)?;
        for i in 0..call.attrs.node.results.len().saturating_sub(states) {
            let axis = call.attrs.ints("scan_output_axes").get(i).copied().unwrap_or(0);
            let backwards = call.attrs.ints("scan_output_directions").get(i) == Some(&1);
            self.begin_parts(call, &mut round, (states + i, states + i), (axis, backwards))?;
        }
        let mut inputs = Vec::new();
        for c in &round.carried {
            inputs.push(self.view(c.dtype, c.dims.clone(), c.view.clone()));
        }
        for (i, handle) in slices.iter().enumerate() {
            let backwards = call.attrs.ints("scan_input_directions").get(i) == Some(&1);
            let axis = axis_of(self, i)?;
            inputs.push(self.slice_of_trip(*handle, axis, &round, backwards));
        }
        inputs.extend(captures);
        self.rounds(call, round, inputs, (0, None))
    }

    /// What a trip sees of a scanned tensor.
    fn slice_of_trip(&mut self, handle: Handle, axis: usize, round: &Round, backwards: bool) -> Handle {
        let (dtype, mut dims, mut view) = (self.dtype_of(handle), self.dims_of(handle), self.force(handle));
        let number = if backwards { round.trips.plus(-1).sub(&round.count) } else { round.count.clone() };
        view.offset = view.offset.add(&view.strides[axis].mul(&number));
        view.strides.remove(axis);
        dims.remove(axis);
        self.tensor(dtype, dims, State::View(view))
    }
}

impl Round {
    /// The extents of one part.
    fn part_dims(&self, parts: &Parts) -> Vec<Dim> {
        let at = self.parts.iter().position(|p| p.whole == parts.whole).unwrap_or(0);
        let outputs = self.graph.outputs();
        let value = outputs[outputs.len() - self.parts.len() + at];
        self.graph.ty(value).dims.clone().unwrap_or_default()
    }
}
