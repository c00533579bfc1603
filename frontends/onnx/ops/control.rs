//! Control flow: subgraphs become regions that see only their own inputs.
use super::{Row, by};
use crate::builder::{Draft, Stop};
use crate::call::{Call, Converted};
use crate::proto::GraphProto;
use crate::region::Region;
use std::collections::BTreeMap;
use weft_frontend::Cause;
use weft_ir::{Attr, Attrs, DType, Dim, Fact, Graph, InferCx, Node, TensorType, Value};

pub(super) const ROWS: &[Row] = &[by("If", 1, branch), by("Loop", 1, repeat), by("Scan", 9, scan)];

/// `If(cond, captures...)`.
fn branch(call: &mut Call<'_, '_, '_>) -> Converted {
    let graphs = [
        ("then_branch", call.attrs.graph("then_branch")?),
        ("else_branch", call.attrs.graph("else_branch")?),
    ];
    let condition = call.need(0)?;
    for (name, graph) in graphs {
        let (found, expected) = (graph.output.len(), call.node.output.len());
        if found != expected {
            return Err(Cause::Invalid(format!("`{name}` has {found} outputs, expected {expected}")).into());
        }
    }
    with_regions(call, "If", vec![Some(condition)], BTreeMap::new(), &graphs)
}

/// `Loop(max_trips?, cond?, carried..., captures...) {carried = n}`.
fn repeat(call: &mut Call<'_, '_, '_>) -> Converted {
    let body = call.attrs.graph("body")?;
    let operands = padded(call, 2);
    let carried = operands.len() - 2;
    let scans = body.output.len().checked_sub(1 + carried);
    results_are(call, scans.map(|scans| carried + scans))?;
    let attrs = BTreeMap::from([("carried".to_string(), Attr::Int(carried as i64))]);
    with_regions(call, "Loop", operands, attrs, &[("body", body)])
}

/// `Scan(states..., scanned..., captures...) {states = n, scanned = m}`.
fn scan(call: &mut Call<'_, '_, '_>) -> Converted {
    let body = call.attrs.graph("body")?;
    let scanned = call.attrs.int("num_scan_inputs")?.unwrap_or(0);
    let operands = padded(call, 0);
    let states = usize::try_from(scanned).ok().and_then(|scanned| operands.len().checked_sub(scanned));
    let states = states.ok_or_else(|| Cause::Invalid(format!("`num_scan_inputs` = {scanned}")))?;
    results_are(call, Some(body.output.len()))?;
    let mut attrs = call.declared(call.builder.def("Scan")?)?;
    attrs.insert("scanned".to_string(), Attr::Int(scanned));
    attrs.insert("states".to_string(), Attr::Int(states as i64));
    with_regions(call, "Scan", operands, attrs, &[("body", body)])
}

/// The operands, absent ones at the end written out up to `least`.
fn padded(call: &Call<'_, '_, '_>, least: usize) -> Vec<Option<Value>> {
    let mut operands = call.operands.clone();
    operands.resize(operands.len().max(least), None);
    operands
}

fn results_are(call: &Call<'_, '_, '_>, expected: Option<usize>) -> Result<(), Cause> {
    let found = call.node.output.len();
    match expected {
        Some(expected) if found <= expected => Ok(()),
        Some(expected) => Err(Cause::Invalid(format!("{found} results, the body gives {expected}"))),
        None => Err(Cause::invalid("the body has fewer outputs than there are carried values")),
    }
}

/// The node with its captures as further operands and its subgraphs as regions.
fn with_regions<'a>(
    call: &mut Call<'_, '_, 'a>,
    op: &str,
    mut operands: Vec<Option<Value>>,
    attrs: BTreeMap<String, Attr>,
    graphs: &[(&'static str, &'a GraphProto)],
) -> Converted {
    let captures = call.builder.captures(&graphs.iter().map(|(_, graph)| *graph).collect::<Vec<_>>())?;
    operands.extend(captures.values.iter().map(|(_, value)| Some(*value)));
    let inputs: Vec<usize> =
        graphs.iter().map(|(_, graph)| graph.input.len() + captures.values.len()).collect();
    let mut node = Node::new(op, Vec::new());
    node.attrs = attrs.clone();
    node.regions = inputs.into_iter().map(stub).collect();
    let entries = entries(call, &node, &operands)?;
    let mut regions = Vec::with_capacity(graphs.len());
    let mut failed = false;
    for ((name, proto), entry) in graphs.iter().copied().zip(entries) {
        match call.builder.region(call.node, Region { name, proto, entry }, &captures) {
            Ok(region) => regions.push(region),
            Err(Stop::Reported) => failed = true,
            Err(because) => return Err(because),
        }
    }
    if failed {
        return Err(Stop::Reported);
    }
    let names = call.result_names(op)?;
    Ok(call.place(Draft { op: op.to_string(), attrs, operands, regions, names })?)
}

/// A region of which only the number of inputs is known.
fn stub(inputs: usize) -> Graph {
    let mut graph = Graph::new("stub");
    for i in 0..inputs {
        graph.add_input(&i.to_string(), TensorType::unranked(DType::F32));
    }
    graph
}

/// What is known of the inputs of each region, whatever the round of a loop.
fn entries(
    call: &Call<'_, '_, '_>,
    node: &Node,
    operands: &[Option<Value>],
) -> Result<Vec<Vec<Fact>>, Cause> {
    let def = call.builder.def(node.op.as_str())?;
    let operands = call.builder.operand_facts(def, operands);
    let cx = InferCx { def, node, operands: &operands, regions: &[] };
    let mut entries = (def.enter)(&cx).map_err(|e| Cause::Invalid(e.0))?;
    let count = |name: &str| usize::try_from(Attrs { def, node }.int(name)).unwrap_or(0);
    let carried = match node.op.as_str() {
        "Loop" => 2..2 + count("carried"),
        "Scan" => 0..count("states"),
        _ => 0..0,
    };
    entries.iter_mut().flat_map(|entry| &mut entry[carried.clone()]).for_each(forget_extents);
    Ok(entries)
}

/// Only element type and rank stay: a round may change the rest.
fn forget_extents(fact: &mut Fact) {
    fact.ty.dims.iter_mut().flatten().for_each(|dim| *dim = Dim::unknown());
    (fact.value, fact.constant) = (None, None);
}
