//! From a plugin to its table. A table lives until the process ends, and so does all it is made of.
use crate::panics::{guarded, keep};
use crate::serve::{check, run};
use crate::table::{
    ABI_VERSION, FORMAT, KINDS, OptionEntry, PassEntry, PipelineEntry, PluginTable, RulesEntry, Text,
};
use std::ptr::from_ref;
use weft_ir::Stage;
use weft_passes::rule::RuleSource;
use weft_passes::{Item, PassInfo, PipelineInfo, Plugin, PluginInfo, Registrar};

/// The table of a plugin; one that cannot say what it adds has a table that says why.
pub fn table(plugin: &'static dyn Plugin) -> &'static PluginTable {
    keep();
    let filled = guarded(|| filled(plugin)).unwrap_or_else(|panic| Err(format!("its registration: {panic}")));
    Box::leak(Box::new(filled.unwrap_or_else(|fault| PluginTable { fault: kept(fault), ..empty() })))
}

fn empty() -> PluginTable {
    PluginTable {
        abi: ABI_VERSION,
        format: FORMAT,
        size: size_of::<PluginTable>(),
        fault: Text::NONE,
        name: Text::NONE,
        version: Text::NONE,
        summary: Text::NONE,
        passes: std::ptr::null(),
        pass_count: 0,
        pipelines: std::ptr::null(),
        pipeline_count: 0,
        operators: Text::NONE,
        rules: std::ptr::null(),
        rules_count: 0,
    }
}

fn filled(plugin: &dyn Plugin) -> Result<PluginTable, String> {
    let PluginInfo { name, version, summary } = plugin.info();
    let (mut passes, mut pipelines, mut rules, mut operators) =
        (Vec::new(), Vec::new(), Vec::new(), String::new());
    for item in Registrar::items(plugin).map_err(|error| error.to_string())? {
        match item {
            Item::Pass(pass, explanation) => passes.push(pass_entry(pass, explanation)),
            Item::Pipeline(pipeline) => pipelines.push(pipeline_entry(pipeline)),
            Item::Rules(RuleSource { family, text, .. }) => {
                rules.push(RulesEntry { family: kept(family), text: kept(text) });
            }
            Item::Rule(rule) => return Err(stays("rule", &rule.info().name)),
            Item::Function(function) => return Err(stays("function", function.name)),
            Item::Operator(def) => operators += def.body.map_or("", |body| &body.text),
        }
    }
    let (passes, pipelines, rules) = (passes.leak(), pipelines.leak(), rules.leak());
    Ok(PluginTable {
        name: text(name),
        version: text(version),
        summary: text(summary),
        passes: passes.as_ptr(),
        pass_count: passes.len(),
        pipelines: pipelines.as_ptr(),
        pipeline_count: pipelines.len(),
        operators: kept(operators),
        rules: rules.as_ptr(),
        rules_count: rules.len(),
        ..empty()
    })
}

/// Why something has no place in a table.
fn stays(what: &str, name: &str) -> String {
    format!("the {what} `{name}` is written in Rust, which does not cross; link the plugin in as a crate")
}

fn pass_entry(pass: PassInfo, explanation: String) -> PassEntry {
    let PassInfo { name, summary, options, kind, accepts: (first, last), .. } = pass;
    let options = options.iter().map(|option| OptionEntry {
        name: text(option.name),
        default_value: text(option.default),
        help: text(option.help),
    });
    let options = options.collect::<Vec<_>>().leak();
    let stage = |stage| Stage::ALL.iter().position(|known| *known == stage).unwrap_or(0) as u32;
    PassEntry {
        name: text(name),
        summary: text(summary),
        explanation: kept(explanation),
        kind: KINDS.iter().position(|known| *known == kind).unwrap_or(0) as u32,
        first_stage: stage(first),
        last_stage: stage(last),
        options: options.as_ptr(),
        option_count: options.len(),
        check: Some(check),
        run: Some(run),
        data: from_ref::<PassInfo>(Box::leak(Box::new(pass))).cast(),
    }
}

fn pipeline_entry(pipeline: PipelineInfo) -> PipelineEntry {
    let PipelineInfo { name, summary, steps } = pipeline;
    PipelineEntry { name: text(name), summary: text(summary), steps: kept(steps.join(",")) }
}

fn text(text: &'static str) -> Text {
    Text::of(text.as_bytes())
}

fn kept(text: String) -> Text {
    Text::of(text.leak().as_bytes())
}
