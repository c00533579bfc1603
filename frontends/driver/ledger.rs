//! The ledger of lossy passes, for people and for machines.
use serde_json::{Value, json};
use std::collections::BTreeMap;
use weft_passes::{LedgerEntry, LedgerLine, LedgerTrial, ModelError, ValueError};

/// How many layers are shown to a person: the worst ones.
const SHOWN: usize = 12;

/// A run of a lossy pass as a table.
pub fn ledger_text(entry: &LedgerEntry) -> String {
    let LedgerEntry { pass, data, layers, model, tried } = entry;
    let of = data
        .as_deref()
        .map_or("weights; no calibration data".to_string(), |data| format!("outputs on {data}"));
    let (given_back, kept): (Vec<_>, Vec<_>) = layers.iter().partition(|line| line.backed_off);
    let mut text =
        format!("{pass}: {} layers changed, {} left exact; errors of {of}\n", kept.len(), given_back.len());
    let mut order: Vec<&LedgerLine> = layers.iter().collect();
    order.sort_by(|a, b| b.error.relative_mse.total_cmp(&a.error.relative_mse));
    text += "  relative mse        max  layer\n";
    for line in order.iter().take(SHOWN) {
        let ValueError { relative_mse, max } = line.error;
        let back = if line.backed_off { ", left exact" } else { "" };
        text += &format!("  {relative_mse:12.3e} {max:10.3e}  %{}: {}{back}\n", line.layer, line.what);
    }
    if layers.len() > SHOWN {
        text += &format!(
            "  and {} layers with smaller errors; `--ledger FILE` lists all\n",
            layers.len() - SHOWN
        );
    }
    model.iter().for_each(|error| text += &model_text(error));
    text + &mixture_text(layers) + &tried_text(tried)
}

/// How many layers became what, where their time was weighed.
fn mixture_text(layers: &[LedgerLine]) -> String {
    let mut mixture: BTreeMap<&str, (usize, u64)> = BTreeMap::new();
    for line in layers {
        let Some(picoseconds) = line.picoseconds else { continue };
        let (count, time) = mixture.entry(&line.what).or_default();
        (*count, *time) = (*count + 1, *time + picoseconds);
    }
    let total = (layers.len(), mixture.values().map(|(_, time)| time).sum());
    let row = |(what, (count, time)): (&str, (usize, u64))| {
        format!("  {:12.3} {count:10}  {what}\n", time as f64 / 1e6)
    };
    if mixture.is_empty() {
        return String::new();
    }
    let head = "  predicted us     layers  at one token\n".to_string();
    let rows: String = mixture.into_iter().map(row).collect();
    head + &rows + &row(("in all", total))
}

/// What else was tried.
fn tried_text(tried: &[LedgerTrial]) -> String {
    let row = |trial: &LedgerTrial| {
        let text = trial.model.text.map_or_else(String::new, |of| {
            format!(", perplexity x {:.4}, divergence {:.3e}", of.perplexity / of.exact_perplexity, of.kl)
        });
        let (time, mse) = (trial.picoseconds as f64 / 1e6, trial.model.outputs.relative_mse);
        let bound = if trial.within { "" } else { ", out of the bound" };
        format!("  {time:12.3} {mse:10.3e}  {}{text}{bound}\n", trial.what)
    };
    let head = if tried.is_empty() { "" } else { "  predicted us  relative mse of what was tried\n" };
    head.to_string() + &tried.iter().map(row).collect::<String>()
}

fn model_text(error: &ModelError) -> String {
    let ValueError { relative_mse, max } = error.outputs;
    let mut text = format!("  {relative_mse:12.3e} {max:10.3e}  the whole model\n");
    if let Some(of) = &error.text {
        let factor = of.perplexity / of.exact_perplexity;
        text += &format!(
            "  perplexity {:.4}, exact {:.4} (x {factor:.4}); divergence {:.3e} nats a token\n",
            of.perplexity, of.exact_perplexity, of.kl
        );
    }
    text
}

/// Runs of lossy passes, every layer of them.
pub fn ledger_json(entries: &[LedgerEntry]) -> Value {
    let error = |error: &ValueError| json!({ "relative_mse": error.relative_mse, "max": error.max });
    let line = |line: &LedgerLine| {
        json!({
            "layer": line.layer, "what": line.what, "error": error(&line.error), "backed_off": line.backed_off,
            "picoseconds": line.picoseconds,
        })
    };
    let model = |model: &ModelError| {
        let text = model.text.map(
            |of| json!({ "kl": of.kl, "exact_perplexity": of.exact_perplexity, "perplexity": of.perplexity }),
        );
        json!({ "outputs": error(&model.outputs), "text": text })
    };
    let trial = |trial: &LedgerTrial| {
        json!({
            "what": trial.what, "picoseconds": trial.picoseconds, "model": model(&trial.model),
            "within": trial.within,
        })
    };
    let entry = |entry: &LedgerEntry| {
        json!({
            "pass": entry.pass,
            "data": entry.data,
            "layers": entry.layers.iter().map(line).collect::<Vec<_>>(),
            "model": entry.model.as_ref().map(model),
            "tried": entry.tried.iter().map(trial).collect::<Vec<_>>(),
        })
    };
    Value::Array(entries.iter().map(entry).collect())
}
