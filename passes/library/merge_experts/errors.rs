//! How far merged experts are off on calibration data.
use weft_ir::{Graph, Module, OpSet, Value};
use weft_passes::{ErrorSum, Measure, PassError, Proposal, Tapped, changed_by};

/// Places whose networks are ready at the same time.
const PLACES: usize = 8;

/// Sets the error of each proposal to that of what comes out of it, on what the model has for it;
/// `tokens` are what goes into each.
pub(super) fn of_outputs(
    measure: &dyn Measure,
    (module, ops): (&Module, &OpSet),
    proposals: &mut [Proposal<'_>],
    tokens: &[Value],
) -> Result<(), PassError> {
    for (proposals, tokens) in proposals.chunks_mut(PLACES).zip(tokens.chunks(PLACES)) {
        let networks = proposals.iter().zip(tokens);
        let networks = networks.map(|(proposal, tokens)| Network::of(module, ops, proposal, *tokens));
        let networks = networks.collect::<Result<Vec<_>, _>>()?;
        let sums = errors(measure, module, &networks)?;
        proposals.iter_mut().zip(sums).for_each(|(proposal, sum)| proposal.error = sum.error());
    }
    Ok(())
}

/// What takes the place of some experts, as a module of its own.
struct Network {
    module: Module,
    /// The values of the whole graph that are its inputs.
    inputs: Vec<Value>,
    /// The value of the whole graph that it stands for.
    result: Value,
}

impl Network {
    fn of(module: &Module, ops: &OpSet, proposal: &Proposal<'_>, tokens: Value) -> Result<Self, PassError> {
        let result = Value { node: proposal.at, slot: 0 };
        let name = module.graph.name_of(result).to_string();
        let mut changed = changed_by(module, ops, &[proposal])?;
        let graph = &mut changed.graph;
        let end = made(graph, &name)
            .ok_or_else(|| PassError::Failed(format!("nothing takes the place of `%{name}`")))?;
        let mut inputs: Vec<Value> = graph.inputs().iter().map(|id| Value { node: *id, slot: 0 }).collect();
        if !graph.is_input(tokens) {
            let ty = graph.ty(tokens).clone();
            let input = graph.add_input(&graph.fresh_name("tokens"), ty);
            graph.redirect(tokens, input);
            inputs.push(tokens);
        }
        graph.set_outputs(vec![end]);
        graph.set_output_names(vec!["merged".to_string()]);
        graph.sweep();
        let used: Vec<bool> =
            graph.inputs().iter().map(|id| graph.use_count(Value { node: *id, slot: 0 }) > 0).collect();
        graph.retain_inputs(&|at| used[at]);
        let kept = inputs.into_iter().zip(&used).filter(|(_, used)| **used);
        Ok(Self { inputs: kept.map(|(value, _)| value).collect(), module: changed, result })
    }
}

/// The value of that name.
fn made(graph: &Graph, name: &str) -> Option<Value> {
    let first = |node| Value { node, slot: 0 };
    graph.nodes().map(first).find(|value| graph.name_of(*value) == name)
}

fn errors(measure: &dyn Measure, module: &Module, networks: &[Network]) -> Result<Vec<ErrorSum>, PassError> {
    let ready =
        networks.iter().map(|network| measure.open(&network.module)).collect::<Result<Vec<_>, _>>()?;
    let groups = networks.iter().map(|network| [&network.inputs[..], &[network.result]].concat());
    let groups: Vec<Vec<Value>> = groups.collect();
    let mut sums = vec![ErrorSum::default(); networks.len()];
    measure.stream(module, &groups, &mut |Tapped { group, .. }, values| {
        let Some((exact, inputs)) = values.split_last() else { return Ok(()) };
        ready[group].run(inputs)?.iter().for_each(|found| sums[group].add(exact, found));
        Ok(())
    })?;
    Ok(sums)
}
