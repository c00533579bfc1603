//! What a lossy pass cost, layer by layer, and what else it tried.
use super::markup::escaped;
use super::{Open, section};
use weft_passes::{LedgerEntry, LedgerLine, LedgerTrial, ValueError};

/// A table of the layers in the order of the graph, the whole model before them.
pub(super) fn ledger(entry: &LedgerEntry) -> String {
    let worst = entry.layers.iter().map(|line| line.error.relative_mse).fold(1e-30, f64::max);
    let rows: String = entry.layers.iter().map(|line| row(line, worst)).collect();
    let table = format!(
        "<table><tr><th>layer</th><th class=\"n\">relative mse</th><th style=\"width:140px\"></th>\
         <th class=\"n\">max</th><th>what</th></tr>{rows}</table>"
    );
    let of = entry.data.as_deref().map_or("errors of weights, no calibration data".to_string(), |data| {
        format!("errors of outputs on {data}")
    });
    section(
        &format!("ledger of {}", entry.pass),
        &of,
        Open::Yes,
        &(model(entry) + &tried(&entry.tried) + &table),
    )
}

/// What was tried for the whole model, the fastest first.
fn tried(trials: &[LedgerTrial]) -> String {
    if trials.is_empty() {
        return String::new();
    }
    let mut order: Vec<&LedgerTrial> = trials.iter().collect();
    order.sort_by_key(|trial| trial.picoseconds);
    let slowest = order.last().map_or(1, |trial| trial.picoseconds.max(1)) as f64;
    let row = |trial: &&LedgerTrial| {
        let (time, mse) = (trial.picoseconds as f64, trial.model.outputs.relative_mse);
        let text = trial.model.text.map_or_else(String::new, |of| {
            format!("perplexity × {:.4}", of.perplexity / of.exact_perplexity)
        });
        let (idle, out) = if trial.within { ("", "") } else { (" class=\"idle\"", ", out of the bound") };
        format!(
            "<tr{idle}><td>{}{out}</td><td class=\"n\">{:.1}</td><td><i class=\"bar\" style=\"width:{:.1}%\"></i></td>\
             <td class=\"n\">{mse:.3e}</td><td>{text}</td></tr>\n",
            escaped(&trial.what),
            time / 1e6,
            100.0 * time / slowest
        )
    };
    format!(
        "<table><tr><th>tried</th><th class=\"n\">predicted µs</th><th style=\"width:140px\"></th>\
         <th class=\"n\">relative mse</th><th></th></tr>{}</table>",
        order.iter().map(row).collect::<String>()
    )
}

fn row(line: &LedgerLine, worst: f64) -> String {
    let ValueError { relative_mse, max } = line.error;
    let (idle, back) = if line.backed_off { (" class=\"idle\"", ", left exact") } else { ("", "") };
    format!(
        "<tr{idle}><td><code>%{}</code></td><td class=\"n\">{relative_mse:.3e}</td>\
         <td><i class=\"bar\" style=\"width:{:.1}%\"></i></td><td class=\"n\">{max:.3e}</td><td>{}{back}</td></tr>\n",
        escaped(&line.layer),
        100.0 * relative_mse / worst,
        escaped(&line.what)
    )
}

fn model(entry: &LedgerEntry) -> String {
    let Some(model) = &entry.model else { return String::new() };
    let ValueError { relative_mse, max } = model.outputs;
    let text = model.text.map_or_else(String::new, |of| {
        let (now, exact, kl) = (of.perplexity, of.exact_perplexity, of.kl);
        format!("; perplexity {now:.4}, exact {exact:.4}; divergence {kl:.3e} nats a token")
    });
    format!("<p>The whole model: relative mse {relative_mse:.3e}, max {max:.3e}{text}.</p>\n")
}
