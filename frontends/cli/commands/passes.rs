//! `weft passes`
use crate::args::{NameArgs, Talk};
use crate::failure::Failure;
use crate::out;
use serde_json::{Value, json};
use weft_passes::{PassInfo, PipelineInfo, Registry, nearest};

pub(crate) fn run(args: &NameArgs, talk: Talk) -> Result<(), Failure> {
    let driver = args.extensions.driver()?;
    let registry = driver.registry();
    let Some(name) = &args.name else {
        if talk.json {
            let passes: Vec<_> = registry.passes().map(|pass| pass_json(pass, registry)).collect();
            let pipelines: Vec<_> = registry.pipelines().map(pipeline_json).collect();
            out::json(&json!({ "passes": passes, "pipelines": pipelines }));
        } else {
            out::print(&list(registry));
        }
        return Ok(());
    };
    match (registry.pass(name), registry.pipeline(name)) {
        (Some(pass), _) if talk.json => out::json(&pass_json(pass, registry)),
        (Some(pass), _) => out::print(&pass_text(pass, registry)),
        (None, Some(pipeline)) if talk.json => out::json(&pipeline_json(pipeline)),
        (None, Some(pipeline)) => out::print(&pipeline_text(pipeline)),
        (None, None) => {
            let known = registry.passes().map(|p| p.name).chain(registry.pipelines().map(|p| p.name));
            let near =
                nearest(name, known).map(|near| format!(", did you mean `{near}`?")).unwrap_or_default();
            return Err(Failure::Misuse(format!("no pass or pipeline `{name}`{near}")));
        }
    }
    Ok(())
}

fn list(registry: &Registry) -> String {
    let names = registry.passes().map(|p| p.name.len()).chain(registry.pipelines().map(|p| p.name.len()));
    let width = names.max().unwrap_or(0);
    let mut text = "passes\n".to_string();
    for PassInfo { name, kind, summary, .. } in registry.passes() {
        text += &format!("  {name:width$}  {:8}  {summary}\n", kind.to_string());
    }
    text += "pipelines\n";
    for PipelineInfo { name, summary, .. } in registry.pipelines() {
        text += &format!("  {name:width$}  {summary}\n");
    }
    text
}

fn pass_text(pass: &PassInfo, registry: &Registry) -> String {
    let PassInfo { name, summary, kind, accepts: (first, last), options, .. } = pass;
    let mut text = format!("{name}: {summary}\n\nkind: {kind}\ntakes modules in stage {first} to {last}\n");
    if let Some(plugin) = plugin_of(name, registry) {
        text += &format!("from plugin: {plugin}\n");
    }
    for option in *options {
        text += &format!("option {} (default {}): {}\n", option.name, option.default, option.help);
    }
    match registry.explanation(name) {
        Some(explanation) => format!("{text}\n{explanation}"),
        None => text,
    }
}

/// The plugin that added a pass, unless weft comes with it.
fn plugin_of(pass: &str, registry: &Registry) -> Option<&'static str> {
    let others = registry.plugins().iter().filter(|plugin| plugin.file.is_some());
    let mut owners = others.filter(|plugin| plugin.added.iter().any(|added| added.name == pass));
    owners.next().map(|plugin| plugin.info.name)
}

fn pipeline_text(pipeline: &PipelineInfo) -> String {
    let steps: String = pipeline.steps.iter().map(|step| format!("  {step}\n")).collect();
    format!("{}: {}\n\n{steps}", pipeline.name, pipeline.summary)
}

fn pass_json(pass: &PassInfo, registry: &Registry) -> Value {
    let option =
        |o: &weft_passes::OptionInfo| json!({ "name": o.name, "default": o.default, "help": o.help });
    json!({
        "name": pass.name,
        "summary": pass.summary,
        "kind": pass.kind.to_string(),
        "plugin": plugin_of(pass.name, registry),
        "accepts": [pass.accepts.0.name(), pass.accepts.1.name()],
        "explanation": registry.explanation(pass.name),
        "options": pass.options.iter().map(option).collect::<Vec<_>>(),
    })
}

fn pipeline_json(pipeline: &PipelineInfo) -> Value {
    json!({ "name": pipeline.name, "summary": pipeline.summary, "steps": pipeline.steps })
}
