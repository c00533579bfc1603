//! `weft plugins`
use crate::args::{Extensions, Talk};
use crate::failure::Failure;
use crate::out;
use serde_json::{Value, json};
use weft::Driver;
use weft_passes::{Added, Installed, Kind, PluginInfo};

pub(crate) fn run(extensions: &Extensions, talk: Talk) -> Result<(), Failure> {
    let driver = extensions.driver()?;
    let plugins = driver.registry().plugins();
    if talk.json {
        out::json(&json!({ "plugins": plugins.iter().map(|p| as_json(p, &driver)).collect::<Vec<_>>() }));
    } else {
        out::print(&plugins.iter().map(|p| as_text(p, &driver)).collect::<Vec<_>>().join("\n"));
    }
    Ok(())
}

/// The kinds of things there are.
const KINDS: [Kind; 5] = [Kind::Pass, Kind::Pipeline, Kind::Operator, Kind::Rule, Kind::Function];

fn as_text(plugin: &Installed, driver: &Driver) -> String {
    let PluginInfo { name, version, summary } = plugin.info;
    let version = if version.is_empty() { String::new() } else { format!(" {version}") };
    let mut text = format!("{name}{version} ({}): {summary}\n", origin(plugin));
    // `weft passes` and `weft rules` list what weft comes with.
    if plugin.info == driver.registry().plugins()[0].info {
        return text + &counts(plugin);
    }
    let width = plugin.added.iter().map(|added| added.name.len()).max().unwrap_or(0);
    for added in &plugin.added {
        let Added { kind, name } = added;
        text += &format!("  {:8}  {name:width$}  {}\n", kind.name(), summary_of(added, driver));
    }
    text
}

/// How much of each kind a plugin added.
fn counts(plugin: &Installed) -> String {
    let count = |kind| plugin.added.iter().filter(|added| added.kind == kind).count();
    let lines = KINDS.iter().map(|kind| (kind.name(), count(*kind))).filter(|(_, count)| *count > 0);
    lines.map(|(name, count)| format!("  {name:8}  {count}\n")).collect()
}

fn origin(plugin: &Installed) -> String {
    plugin.file.as_ref().map_or_else(|| "linked in".to_string(), |file| file.display().to_string())
}

fn summary_of<'d>(added: &Added, driver: &'d Driver) -> &'d str {
    let (registry, name) = (driver.registry(), &*added.name);
    let summary = match added.kind {
        Kind::Pass => registry.pass(name).map(|pass| pass.summary),
        Kind::Pipeline => registry.pipeline(name).map(|pipeline| pipeline.summary),
        Kind::Operator => driver.ops().get(name).map(|op| op.doc),
        Kind::Rule => registry.rules().get(name).map(|rule| &*rule.info().doc),
        Kind::Function => registry.rules().function(name).map(|function| function.doc),
    };
    summary.unwrap_or_default()
}

fn as_json(plugin: &Installed, driver: &Driver) -> Value {
    let PluginInfo { name, version, summary } = plugin.info;
    let added = plugin.added.iter().map(|added| {
        json!({ "kind": added.kind.name(), "name": added.name, "summary": summary_of(added, driver) })
    });
    json!({
        "name": name,
        "version": version,
        "summary": summary,
        "file": plugin.file.as_ref().map(|file| file.display().to_string()),
        "added": added.collect::<Vec<_>>(),
    })
}
