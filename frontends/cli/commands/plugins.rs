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

fn as_text(plugin: &Installed, driver: &Driver) -> String {
    let PluginInfo { name, version, summary } = plugin.info;
    let mut text = format!("{name} {version} ({}): {summary}\n", origin(plugin));
    let width = plugin.added.iter().map(|added| added.name.len()).max().unwrap_or(0);
    for added in &plugin.added {
        let Added { kind, name } = added;
        text += &format!("  {:8}  {name:width$}  {}\n", kind.name(), summary_of(*added, driver));
    }
    text
}

fn origin(plugin: &Installed) -> String {
    plugin.file.as_ref().map_or_else(|| "linked in".to_string(), |file| file.display().to_string())
}

fn summary_of(added: Added, driver: &Driver) -> &'static str {
    let registry = driver.registry();
    let summary = match added.kind {
        Kind::Pass => registry.pass(added.name).map(|pass| pass.summary),
        Kind::Pipeline => registry.pipeline(added.name).map(|pipeline| pipeline.summary),
        Kind::Operator => driver.ops().get(added.name).map(|op| op.doc),
    };
    summary.unwrap_or_default()
}

fn as_json(plugin: &Installed, driver: &Driver) -> Value {
    let PluginInfo { name, version, summary } = plugin.info;
    let added = plugin.added.iter().map(|added| {
        json!({ "kind": added.kind.name(), "name": added.name, "summary": summary_of(*added, driver) })
    });
    json!({
        "name": name,
        "version": version,
        "summary": summary,
        "file": plugin.file.as_ref().map(|file| file.display().to_string()),
        "added": added.collect::<Vec<_>>(),
    })
}
