//! What a lossy pass cost, layer by layer.
use super::markup::escaped;
use super::{Open, section};
use weft_passes::{LedgerEntry, LedgerLine, ValueError};

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
    section(&format!("ledger of {}", entry.pass), &of, Open::Yes, &(model(entry) + &table))
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
