//! `weft rules`
use crate::args::{RulesArgs, Talk};
use crate::failure::Failure;
use crate::out;
use serde_json::{Value, json};
use std::sync::Arc;
use weft::{Driver, check_rule, family_of};
use weft_passes::nearest;
use weft_passes::rule::{Function, RewriteRule, Rules};
use weft_rewrite::check::{Effort, Verdict};

type Rule = Arc<dyn RewriteRule>;

/// How many of the reasons why a rule never fired are told.
const REASONS: usize = 8;

pub(crate) fn run(args: &RulesArgs, talk: Talk) -> Result<(), Failure> {
    let file = args.check.clone().flatten();
    let mut extensions = args.extensions.clone();
    extensions.rules.extend(file.clone());
    let driver = extensions.driver()?;
    let rules = driver.registry().rules();
    let asked = args.name.clone().or_else(|| file.as_deref().map(family_of));
    let found: Vec<Rule> = match &asked {
        None => rules.iter().cloned().collect(),
        Some(name) => rules.iter().filter(|rule| is_called(rule, name)).cloned().collect(),
    };
    match &asked {
        Some(name) if found.is_empty() => function(rules, name, talk),
        _ if args.check.is_some() => check(&driver, &found, args, talk),
        Some(name) if found.iter().any(|rule| rule.info().name == *name) => {
            explain(&found, talk);
            Ok(())
        }
        _ => {
            list(&found, asked.is_none().then_some(rules), talk);
            Ok(())
        }
    }
}

fn is_called(rule: &Rule, name: &str) -> bool {
    rule.info().name == name || rule.info().family == name
}

/// One to a line, family by family.
fn list(found: &[Rule], all: Option<&Rules>, talk: Talk) {
    if talk.json {
        let functions: Vec<Value> = all.iter().flat_map(|all| all.functions()).map(function_json).collect();
        let rules: Vec<Value> = found.iter().map(rule_json).collect();
        return out::json(&json!({ "rules": rules, "functions": functions }));
    }
    let width = found.iter().map(|rule| rule.info().name.len()).max().unwrap_or(0);
    let mut families: Vec<&str> = found.iter().map(|rule| rule.info().family.as_str()).collect();
    families.sort_unstable();
    families.dedup();
    let mut text = String::new();
    for family in families {
        text += &format!("{family}\n");
        for rule in found.iter().filter(|rule| rule.info().family == family) {
            text += &format!("  {:width$}  {}\n", rule.info().name, rule.info().doc);
        }
    }
    for (i, function) in all.iter().flat_map(|all| all.functions()).enumerate() {
        let head = if i == 0 { "functions and conditions\n" } else { "" };
        text += &format!("{head}  {:width$}  {}\n", signature(function), function.doc);
    }
    out::print(&text);
}

fn signature(function: &Function) -> String {
    let params: Vec<String> = function.params.iter().map(ToString::to_string).collect();
    format!("{}({})", function.name, params.join(", "))
}

fn function_json(function: &Function) -> Value {
    let params: Vec<String> = function.params.iter().map(ToString::to_string).collect();
    json!({
        "name": function.name,
        "doc": function.doc,
        "parameters": params,
        "result": function.result.to_string(),
    })
}

fn rule_json(rule: &Rule) -> Value {
    let info = rule.info();
    json!({
        "name": info.name,
        "family": info.family,
        "doc": info.doc,
        "origin": info.origin.to_string(),
        "aim": info.aim.to_string(),
        "text": info.text,
    })
}

fn explain(found: &[Rule], talk: Talk) {
    if talk.json {
        return out::json(&found.iter().map(rule_json).collect());
    }
    for info in found.iter().map(|rule| rule.info()) {
        let at = &info.origin;
        out::print(&format!("{}: {}\n\nfamily: {}\naim: {}\n\n", info.name, info.doc, info.family, info.aim));
        out::print(&format!("{at}\n{}\n", info.text));
    }
}

fn function(rules: &Rules, name: &str, talk: Talk) -> Result<(), Failure> {
    let Some(function) = rules.function(name) else {
        let names = rules.names().chain(rules.functions().map(|function| function.name));
        let near = nearest(name, names).map(|near| format!(", did you mean `{near}`?")).unwrap_or_default();
        return Err(Failure::Misuse(format!("no rule, family or function `{name}`{near}")));
    };
    if talk.json {
        out::json(&function_json(function));
    } else {
        out::print(&format!("{}: {}\n{}\n", signature(function), function.result, function.doc));
    }
    Ok(())
}

/// Checks rules one by one; fails if one is wrong or cannot be instantiated.
fn check(driver: &Driver, found: &[Rule], args: &RulesArgs, talk: Talk) -> Result<(), Failure> {
    let effort = Effort { instances: args.instances, seed: args.seed, ..Effort::default() };
    let mut bad = 0;
    let mut all = Vec::new();
    for rule in found {
        let verdict = check_rule(rule, driver.ops(), effort);
        bad += usize::from(verdict.wrong.is_some() || verdict.agreed == 0);
        match talk.json {
            true => all.push(verdict_json(rule, &verdict)),
            false => out::print(&verdict_text(rule, &verdict)),
        }
    }
    if talk.json {
        out::json(&json!({ "checked": found.len(), "bad": bad, "rules": all }));
    } else {
        out::line(&format!("{} rules checked, {bad} bad", found.len()));
    }
    if bad == 0 { Ok(()) } else { Err(Failure::Told(1)) }
}

fn verdict_text(rule: &Rule, verdict: &Verdict) -> String {
    let info = rule.info();
    if let Some(wrong) = &verdict.wrong {
        let inputs: String =
            wrong.inputs.iter().map(|(name, tensor)| format!("// %{name} = {}\n", shown(tensor))).collect();
        return format!(
            "{}: {} is wrong: {}\n{inputs}{}// and what the rule makes of it\n{}",
            info.origin, info.name, wrong.difference, wrong.before, wrong.after
        );
    }
    if verdict.agreed > 0 {
        return format!("{}: holds on {} graphs of {}\n", info.name, verdict.agreed, verdict.tried);
    }
    let mut reasons: Vec<(&String, &usize)> = verdict.declined.iter().collect();
    reasons.sort_by_key(|(why, times)| (std::cmp::Reverse(**times), *why));
    let reasons: String =
        reasons.iter().take(REASONS).map(|(why, times)| format!("  {times} times: {why}\n")).collect();
    format!("{}: {} never fired on {} graphs\n{reasons}", info.origin, info.name, verdict.tried)
}

/// The elements of an input, if there are not too many.
fn shown(tensor: &weft_ir::Tensor) -> String {
    let elements = tensor.to_f64s().unwrap_or_default();
    let some: Vec<String> = elements.iter().take(64).map(f64::to_string).collect();
    let dots = if elements.len() > 64 { ", ..." } else { "" };
    format!("{}{:?}{{{}{dots}}}", tensor.dtype(), tensor.dims(), some.join(", "))
}

fn verdict_json(rule: &Rule, verdict: &Verdict) -> Value {
    let wrong = verdict
        .wrong
        .as_ref()
        .map(|wrong| json!({ "before": wrong.before, "after": wrong.after, "difference": wrong.difference }));
    json!({ "name": rule.info().name, "agreed": verdict.agreed, "tried": verdict.tried, "wrong": wrong })
}
