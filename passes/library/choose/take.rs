//! The chosen candidates, in the graph and in the ledger.
use super::candidates::{Candidate, Layers};
use super::search::{Search, Tried};
use crate::forms::{Form, On, errors};
use weft_egraph::{Held, take_held};
use weft_ir::infer::Facts;
use weft_ir::{Module, Node, Value};
use weft_passes::{
    Decision, Declined, LedgerEntry, LedgerLine, LedgerTrial, Linear, PassContext, PassError, Rewriter,
    ValueError,
};

/// No cost model tells times apart that differ by less, as a factor; then the smaller error decides.
const ALIKE: f64 = 1.02;

/// The choices that were measured to be within the bounds, the fastest first, and behind them none at all.
pub(super) fn decisions<'l>(
    cx: &'l PassContext<'_>,
    (facts, layers): (&'l Facts, &'l Layers),
    search: &Search<'_>,
) -> Vec<Decision<'l>> {
    let mut good: Vec<&Tried> = search.tried.iter().filter(|tried| tried.trial.within).collect();
    let mse = |tried: &Tried| tried.trial.model.outputs.relative_mse;
    let least = good.iter().map(|tried| tried.trial.picoseconds).min().unwrap_or_default();
    let time = |tried: &Tried| match tried.trial.picoseconds as f64 <= least as f64 * ALIKE {
        true => least,
        false => tried.trial.picoseconds,
    };
    good.sort_by(|a, b| time(a).cmp(&time(b)).then(mse(a).total_cmp(&mse(b))));
    let tried: Vec<LedgerTrial> = search.tried.iter().map(|tried| tried.trial.clone()).collect();
    let exact = vec![0; layers.linears.len()];
    let picks = good.into_iter().map(|tried| tried.picks.clone()).chain([exact]);
    let decision = |picks: Vec<usize>| {
        let (tried, taken) = (tried.clone(), picks.clone());
        let entry = move |module: &Module| {
            let lines = lines(cx, module, (facts, layers), &taken)?;
            Ok(LedgerEntry {
                pass: String::new(),
                data: None,
                layers: lines,
                model: None,
                tried: tried.clone(),
            })
        };
        Decision { entry: Box::new(entry), apply: Box::new(move |g| put(g, layers, &picks)) }
    };
    picks.map(decision).collect()
}

/// What is told of each layer, its error measured on all of the calibration data.
fn lines(
    cx: &PassContext<'_>,
    module: &Module,
    (facts, layers): (&Facts, &Layers),
    picks: &[usize],
) -> Result<Vec<LedgerLine>, PassError> {
    let taken = || layers.candidates.iter().zip(picks).map(|(all, pick)| (&all[*pick], *pick == 0));
    let forms: Vec<Vec<Form<'_>>> =
        taken().map(|(candidate, exact)| if exact { Vec::new() } else { vec![candidate.form()] }).collect();
    let errors = errors(cx, module, (facts, &layers.linears), (&forms, On::All))?;
    let line = |((layer, (candidate, exact)), errors): ((&Linear, (&Candidate, bool)), Vec<ValueError>)| {
        LedgerLine {
            layer: module.graph.name_of(layer.output()).to_string(),
            what: candidate.what.clone(),
            error: errors.first().copied().unwrap_or(candidate.error),
            backed_off: exact,
            picoseconds: Some(candidate.picoseconds),
        }
    };
    Ok(layers.linears.iter().zip(taken()).zip(errors).map(line).collect())
}

/// Lets all candidates of every layer be equal, and takes those.
fn put(g: &mut Rewriter<'_>, layers: &Layers, picks: &[usize]) -> Result<(), Declined> {
    if picks.iter().all(|pick| *pick == 0) {
        return Ok(());
    }
    let mut held = Vec::new();
    for ((layer, all), pick) in layers.linears.iter().zip(&layers.candidates).zip(picks) {
        let name = g.name_of(layer.output()).to_string();
        g.name_after(&name);
        let form = |(number, candidate)| form(g, layer, (candidate, number == *pick));
        let forms = all.iter().enumerate().skip(1).map(form).collect::<Result<_, _>>()?;
        held.push(Held { value: layer.output(), forms, taken: pick.checked_sub(1) });
    }
    take_held(g, &held)
}

/// The layer once more, as a candidate.
fn form(
    g: &mut Rewriter<'_>,
    layer: &Linear,
    (candidate, taken): (&Candidate, bool),
) -> Result<Value, Declined> {
    let original: &Node = g.node(layer.node);
    let mut node = Node::new(original.op.as_str(), Vec::new());
    node.attrs = original.attrs.clone();
    let mut operands = g.operands(layer.node);
    if let Some(coded) = &candidate.coded {
        node.attrs = layer.attrs(g).collect();
        operands[1] = Some(if taken { coded.add(g)? } else { coded.add_untaken(g, layer)? });
    }
    if let Some(masked) = &candidate.masked {
        operands[0] = Some(masked.add(g)?);
    }
    g.add(node, &operands)
}
