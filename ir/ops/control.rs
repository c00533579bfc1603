//! Control flow. A region sees nothing but its own inputs, so everything it uses is an operand.
use super::extents::{agree, ranked};
use super::rules::{attr, axis, fail, ints, many, op, opt, req, shaped};
use crate::dim::Dim;
use crate::graph::{Graph, NodeId};
use crate::infer::Fact;
use crate::op::{AttrDefault, AttrKind, InferCx, InferError, OpDef, Traits};
use crate::types::{DType, TensorType};
use std::collections::BTreeSet;

type Facts = Result<Vec<Fact>, InferError>;
type Entries = Result<Vec<Vec<Fact>>, InferError>;

/// The table.
pub(crate) const OPS: &[OpDef] = &[
    OpDef {
        regions: 2,
        traits: Traits::CHOICE,
        results: (0, usize::MAX),
        enter: enter_if,
        ..op(
            "If",
            "The outputs of the first region if the condition is true, else of the second; both take the captures.",
            &[req("cond"), many("captures")],
            infer_if,
        )
    },
    OpDef {
        attrs: &[attr("carried", AttrKind::Int, AttrDefault::Required)],
        regions: 1,
        results: (0, usize::MAX),
        enter: enter_loop,
        ..op(
            "Loop",
            "Repeats the region, which takes (iteration, condition, carried.., captures..) and gives (condition, carried.., scans..).",
            &[opt("M"), opt("cond"), many("carried and captures")],
            infer_loop,
        )
    },
    OpDef {
        attrs: &[
            ints("scan_input_axes"),
            ints("scan_input_directions"),
            ints("scan_output_axes"),
            ints("scan_output_directions"),
            attr("scanned", AttrKind::Int, AttrDefault::Required),
            attr("states", AttrKind::Int, AttrDefault::Required),
        ],
        regions: 1,
        results: (0, usize::MAX),
        enter: enter_scan,
        ..op(
            "Scan",
            "Runs the region over slices: it takes (states.., slices.., captures..) and gives (states.., slices..).",
            &[many("states, scanned and captures")],
            infer_scan,
        )
    },
];

/// The operands from `start` on, which must all be present.
fn present(cx: &InferCx<'_>, start: usize) -> Facts {
    let rest = cx.operands.iter().enumerate().skip(start);
    rest.map(|(i, fact)| fact.clone().ok_or_else(|| InferError(format!("operand {i} is missing")))).collect()
}

/// An attribute that counts operands.
fn count(cx: &InferCx<'_>, name: &str, most: usize) -> Result<usize, InferError> {
    let found = cx.attrs().int(name);
    usize::try_from(found)
        .ok()
        .filter(|n| *n <= most)
        .ok_or_else(|| InferError(format!("`{name}` is {found}, expected 0 to {most}")))
}

fn takes(cx: &InferCx<'_>, region: usize, inputs: usize) -> Result<(), InferError> {
    match cx.node.regions.get(region).map(|r| r.inputs().len()) {
        Some(found) if found == inputs => Ok(()),
        Some(found) => fail(format!("region {region} takes {found} inputs, expected {inputs}")),
        None => fail(format!("region {region} is missing")),
    }
}

/// Names of extents that mean something within a region only.
struct Scope {
    outer: BTreeSet<std::sync::Arc<str>>,
    local: BTreeSet<String>,
}

impl Scope {
    fn of(cx: &InferCx<'_>, region: usize) -> Self {
        let mut outer = BTreeSet::new();
        for fact in cx.operands.iter().flatten() {
            let dims = fact.ty.dims.iter().flatten().chain(fact.value.iter().flatten());
            outer.extend(dims.flat_map(Dim::symbols));
        }
        let mut local = BTreeSet::new();
        if let Some(graph) = cx.node.regions.get(region) {
            graph.nodes().for_each(|id| own_names(graph, id, &mut local));
        }
        Self { outer, local }
    }

    fn seen_outside(&self, dim: &Dim) -> bool {
        dim.symbols().iter().all(|s| self.outer.contains(s) && !self.local.contains(&**s))
    }

    /// The fact as it is seen outside of the region.
    fn outside(&self, fact: &Fact) -> Fact {
        let hide = |d: &Dim| if self.seen_outside(d) { d.clone() } else { Dim::unknown() };
        let dims = fact.ty.dims.as_ref().map(|dims| dims.iter().map(hide).collect());
        let value = fact.value.clone().filter(|v| v.iter().all(|d| self.seen_outside(d)));
        Fact { ty: shaped(fact.dtype(), dims), value, constant: fact.constant.clone() }
    }
}

/// The names of extents that a node of a region decides.
fn own_names(graph: &Graph, id: NodeId, names: &mut BTreeSet<String>) {
    for result in &graph.node(id).results {
        let rank = result.ty.rank().unwrap_or(0);
        names.extend((0..rank).map(|axis| format!("?{}.{axis}", result.name)));
    }
}

/// What is true of both types.
fn either(a: &TensorType, b: &TensorType) -> Result<TensorType, InferError> {
    if a.dtype != b.dtype {
        return fail(format!("element types {} and {} meet, expected the same", a.dtype, b.dtype));
    }
    let dims = match (&a.dims, &b.dims) {
        (Some(a), Some(b)) if a.len() == b.len() => {
            let same = |(x, y): (&Dim, &Dim)| if x.same(y) { x.clone() } else { Dim::unknown() };
            Some(a.iter().zip(b).map(same).collect())
        }
        _ => None,
    };
    Ok(shaped(a.dtype, dims))
}

fn enter_if(cx: &InferCx<'_>) -> Entries {
    let captures = present(cx, 1)?;
    takes(cx, 0, captures.len())?;
    takes(cx, 1, captures.len())?;
    Ok(vec![captures.clone(), captures])
}

fn infer_if(cx: &InferCx<'_>) -> Facts {
    flag(cx, 0)?;
    let [yes, no] = cx.regions else { return fail("two regions were expected".to_string()) };
    if yes.len() != no.len() {
        return fail(format!("the regions have {} and {} outputs, expected as many", yes.len(), no.len()));
    }
    let (first, second) = (Scope::of(cx, 0), Scope::of(cx, 1));
    let yes: Vec<Fact> = yes.iter().map(|f| first.outside(f)).collect();
    let no: Vec<Fact> = no.iter().map(|f| second.outside(f)).collect();
    yes.iter().zip(&no).try_for_each(|(a, b)| either(&a.ty, &b.ty).map(|_| ()))?;
    match cx.need(0)?.ints().as_deref() {
        Some([0]) => return Ok(no),
        Some([_]) => return Ok(yes),
        _ => {}
    }
    let stated = |slot: usize| cx.node.results.get(slot).and_then(|result| result.ty.rank());
    let join = |(slot, (a, b)): (usize, (&Fact, &Fact))| {
        let value = a.value.clone().filter(|_| a.value == b.value);
        Ok(Fact::of(chosen(&a.ty, &b.ty, stated(slot))?).with_value(value))
    };
    yes.iter().zip(&no).enumerate().map(join).collect()
}

/// What is true of the result. Where the regions differ in rank, the stated one decides: the region of
/// another rank then ends the run.
fn chosen(yes: &TensorType, no: &TensorType, stated: Option<usize>) -> Result<TensorType, InferError> {
    let either = either(yes, no)?;
    let fits = |ty: &&TensorType| stated.is_some() && ty.rank() == stated;
    match (either.rank(), fits(&yes), fits(&no)) {
        (None, true, false) if no.rank().is_some() => Ok(yes.clone()),
        (None, false, true) if yes.rank().is_some() => Ok(no.clone()),
        _ => Ok(either),
    }
}

/// Operand `i`, if present, must be one truth value.
fn flag(cx: &InferCx<'_>, i: usize) -> Result<(), InferError> {
    match cx.get(i) {
        Some(fact) if fact.dtype() != DType::Bool => {
            fail(format!("the condition has type {}, expected bool", fact.dtype()))
        }
        Some(_) => ranked(cx, i, 0..=1).map(|_| ()),
        None => Ok(()),
    }
}

/// Carried values on entry: what they begin as, and what a round leaves of it.
fn rounds(begin: &[Fact], after: Option<&[Fact]>) -> Facts {
    let Some(after) = after else { return Ok(begin.iter().map(|f| Fact::of(f.ty.clone())).collect()) };
    if after.len() < begin.len() {
        return fail(format!(
            "the region gives {} values to carry on, expected {}",
            after.len(),
            begin.len()
        ));
    }
    begin.iter().zip(after).map(|(a, b)| Ok(Fact::of(either(&a.ty, &b.ty)?))).collect()
}

fn enter_loop(cx: &InferCx<'_>) -> Entries {
    let values = present(cx, 2)?;
    let (carried, captures) = values.split_at(count(cx, "carried", values.len())?);
    takes(cx, 0, 2 + values.len())?;
    let after = cx.regions.first().map(|outputs| outputs.get(1..).unwrap_or(&[]));
    // The region only ever runs while the condition holds.
    let mut entry =
        vec![Fact::of(shaped(DType::I64, Some(Vec::new()))), Fact::scalar(DType::Bool, Dim::fixed(1))];
    entry.extend(rounds(carried, after)?);
    entry.extend_from_slice(captures);
    Ok(vec![entry])
}

fn infer_loop(cx: &InferCx<'_>) -> Facts {
    flag(cx, 1)?;
    if cx.get(0).is_some_and(|m| m.dtype() != DType::I64) {
        return fail(format!("`M` has type {}, expected i64", cx.need(0)?.dtype()));
    }
    let (Some(entry), Some(outputs)) = (enter_loop(cx)?.pop(), cx.regions.first()) else {
        return fail("one region was expected".to_string());
    };
    let carried = count(cx, "carried", entry.len())?;
    let scope = Scope::of(cx, 0);
    let mut results: Vec<Fact> = entry[2..2 + carried].iter().map(|f| scope.outside(f)).collect();
    let trips = trips(cx, outputs);
    for scan in outputs.get(1 + carried..).unwrap_or(&[]) {
        let dims = scope.outside(scan).ty.dims.map(|dims| [vec![trips.clone()], dims].concat());
        results.push(Fact::of(shaped(scan.dtype(), dims)));
    }
    Ok(results)
}

/// How often a Loop runs, if nothing but its first operand decides that.
fn trips(cx: &InferCx<'_>, outputs: &[Fact]) -> Dim {
    let is = |fact: Option<&Fact>, number: i64| fact.and_then(Fact::ints).is_some_and(|v| v == [number]);
    let first = match cx.get(1) {
        Some(cond) if is(Some(cond), 0) => return Dim::fixed(0),
        Some(cond) => is(Some(cond), 1),
        None => true,
    };
    let most = cx.get(0).and_then(|m| m.value.as_deref()).and_then(<[Dim]>::first);
    match most {
        Some(most) if first && is(outputs.first(), 1) => most.larger(&Dim::fixed(0)),
        _ => Dim::unknown(),
    }
}

/// The operands of a Scan, in their three parts.
struct ScanParts {
    states: Vec<Fact>,
    scanned: Vec<Fact>,
    captures: Vec<Fact>,
    axes: Vec<usize>,
}

impl ScanParts {
    fn of(cx: &InferCx<'_>) -> Result<Self, InferError> {
        let mut states = present(cx, 0)?;
        let mut scanned = states.split_off(count(cx, "states", states.len())?);
        let captures = scanned.split_off(count(cx, "scanned", scanned.len())?);
        if scanned.is_empty() {
            return fail("nothing is scanned, expected at least one operand".to_string());
        }
        let given = per_item(cx, "scan_input_axes", scanned.len())?;
        directions(cx, "scan_input_directions", scanned.len())?;
        let axes = scanned.iter().zip(given).map(|(fact, at)| axis(at, fact.dims().map_or(64, <[Dim]>::len)));
        Ok(Self { axes: axes.collect::<Result<_, _>>()?, states, scanned, captures })
    }

    fn trips(&self) -> Result<Dim, InferError> {
        let mut trips = Dim::unknown();
        for (fact, at) in self.scanned.iter().zip(&self.axes) {
            if let Some(dims) = fact.dims() {
                trips = agree(&trips, &dims[*at], "lengths of what is scanned")?;
            }
        }
        Ok(trips)
    }

    fn slices(&self) -> impl Iterator<Item = Fact> {
        self.scanned.iter().zip(&self.axes).map(|(fact, at)| {
            let mut dims = fact.ty.dims.clone();
            dims.as_mut().map(|dims| dims.remove(*at));
            Fact::of(shaped(fact.dtype(), dims))
        })
    }
}

/// Numbers for each of `n` items, zeros if not given.
fn per_item(cx: &InferCx<'_>, name: &str, n: usize) -> Result<Vec<i64>, InferError> {
    let given = cx.attrs().ints(name);
    match given.len() {
        0 => Ok(vec![0; n]),
        found if found == n => Ok(given.to_vec()),
        found => fail(format!("`{name}` has {found} entries, expected {n}")),
    }
}

fn directions(cx: &InferCx<'_>, name: &str, n: usize) -> Result<(), InferError> {
    match per_item(cx, name, n)?.into_iter().find(|d| !matches!(d, 0 | 1)) {
        Some(bad) => fail(format!("`{name}` holds {bad}, expected 0 or 1")),
        None => Ok(()),
    }
}

fn enter_scan(cx: &InferCx<'_>) -> Entries {
    let parts = ScanParts::of(cx)?;
    takes(cx, 0, cx.operands.len())?;
    let mut entry = rounds(&parts.states, cx.regions.first().map(Vec::as_slice))?;
    entry.extend(parts.slices());
    entry.extend_from_slice(&parts.captures);
    Ok(vec![entry])
}

fn infer_scan(cx: &InferCx<'_>) -> Facts {
    let parts = ScanParts::of(cx)?;
    let (trips, scope) = (parts.trips()?, Scope::of(cx, 0));
    let outputs = cx.regions.first().map_or(&[][..], Vec::as_slice);
    let mut results: Vec<Fact> =
        rounds(&parts.states, Some(outputs))?.iter().map(|f| scope.outside(f)).collect();
    let scans = outputs.get(parts.states.len()..).unwrap_or(&[]);
    directions(cx, "scan_output_directions", scans.len())?;
    for (scan, at) in scans.iter().zip(per_item(cx, "scan_output_axes", scans.len())?) {
        let mut dims = scope.outside(scan).ty.dims;
        if let Some(dims) = &mut dims {
            dims.insert(axis(at, dims.len() + 1)?, trips.clone());
        }
        results.push(Fact::of(shaped(scan.dtype(), dims)));
    }
    Ok(results)
}
