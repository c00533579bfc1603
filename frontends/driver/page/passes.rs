//! What each pass did, and how long it took.
use super::history::{History, Step};
use super::markup::escaped;
use super::{Open, section};
use std::collections::BTreeMap;
use weft_passes::Outcome;

/// How many places are named of one reason.
const PLACES: usize = 20;

/// A table of the passes in the order they ran; those without effect in a table of their own.
pub(super) fn passes(history: &History) -> String {
    let longest = history.steps.iter().map(|step| step.took.as_secs_f64()).fold(1e-9, f64::max);
    let (told, idle): (Vec<_>, Vec<_>) =
        history.steps.iter().enumerate().partition(|(_, step)| step.is_told());
    let table = |steps: &[(usize, &Step)]| {
        let rows: String = steps.iter().map(|(i, step)| row(i + 1, step, longest)).collect();
        format!(
            "<table><tr><th class=\"n\">#</th><th>pass</th><th class=\"n\">ms</th><th style=\"width:140px\"></th>\
             <th class=\"n\">nodes after</th><th>rewrites</th><th>declined</th></tr>{rows}</table>"
        )
    };
    let spent: f64 = idle.iter().map(|(_, step)| step.took.as_secs_f64()).sum();
    let rest = format!("{} runs without effect, {:.0} ms", idle.len(), spent * 1e3);
    let body = format!("{}<details><summary>{rest}</summary>{}</details>", table(&told), table(&idle));
    let (runs, rewrites) =
        (history.steps.len(), history.steps.iter().map(|s| s.rewrites.len()).sum::<usize>());
    section("passes", &format!("{runs} runs, {rewrites} rewrites"), Open::Yes, &body)
}

fn row(number: usize, step: &Step, longest: f64) -> String {
    let seconds = step.took.as_secs_f64();
    let idle = if step.outcome == Outcome::Changed { "" } else { " class=\"idle\"" };
    format!(
        "<tr{idle}><td class=\"n\">{number}</td><td>{}</td><td class=\"n\">{:.2}</td>\
         <td><i class=\"bar\" style=\"width:{:.1}%\"></i></td><td class=\"n\">{}</td><td>{}</td><td>{}</td></tr>\n",
        escaped(step.pass),
        seconds * 1e3,
        100.0 * seconds / longest,
        step.nodes,
        rewrites(step),
        declined(step)
    )
}

fn rewrites(step: &Step) -> String {
    let mut places: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    step.rewrites.iter().for_each(|(rule, at)| places.entry(rule).or_default().push(at));
    counted(step.rewrites.len(), places.into_iter().collect())
}

fn declined(step: &Step) -> String {
    let mut places: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    step.declined.iter().for_each(|(_, at, why)| places.entry(why).or_default().push(at));
    let mut places: Vec<_> = places.into_iter().collect();
    places.sort_by_key(|(why, at)| (std::cmp::Reverse(at.len()), *why));
    counted(step.declined.len(), places)
}

/// A number that opens to what was counted.
fn counted(count: usize, places: Vec<(&str, Vec<&str>)>) -> String {
    if count == 0 {
        return String::new();
    }
    let line = |(what, at): (&str, Vec<&str>)| {
        let names: Vec<_> =
            at.iter().take(PLACES).map(|name| format!("<code>%{}</code>", escaped(name))).collect();
        let more =
            at.len().checked_sub(PLACES + 1).map_or_else(String::new, |n| format!(" and {} more", n + 1));
        format!("<li>{} × {}: {}{more}</li>", at.len(), escaped(what), names.join(", "))
    };
    let lines: String = places.into_iter().map(line).collect();
    format!("<details><summary>{count}</summary><ul>{lines}</ul></details>")
}
