//! From what a rule file says to rules: every name looked up, every term typed, before any graph is
//! read.
mod find;
mod put;
mod scope;
mod term;

use crate::ast::{Expr, Name, RuleText, Ways, What};
use crate::error::{RuleError, Slip};
use crate::parse::parse;
use crate::rule::FileRule;
use scope::Scope;
use std::collections::BTreeSet;
use std::sync::Arc;
use weft_ir::OpSet;
use weft_passes::RegisterError;
use weft_passes::rule::{Aim, Pattern, RewriteRule, RuleInfo, RuleSource, Rules};

/// What a file is resolved against.
#[derive(Clone, Copy)]
pub(crate) struct Known<'k> {
    pub(crate) ops: &'k OpSet,
    pub(crate) rules: &'k Rules,
}

/// The rules of a file, resolved against operators and functions, or everything that is wrong with
/// it. The family is what all rules of the file are called together.
pub fn load(
    (file, family): (&str, &str),
    text: &str,
    ops: &OpSet,
    rules: &Rules,
) -> Result<Vec<FileRule>, Vec<RuleError>> {
    let (parsed, mut slips) = parse(text);
    let known = Known { ops, rules };
    let source = Source { file, family, text };
    let mut found = Vec::new();
    let mut names = BTreeSet::new();
    for rule in &parsed.rules {
        if !names.insert(&rule.name.text) {
            let message = format!("two rules of this file are named `{}`", rule.name.text);
            slips.push(Slip::new(rule.name.span.0.start, message));
        }
        match resolve(rule, known, &source) {
            Ok(resolved) => found.extend(resolved),
            Err(wrong) => slips.extend(wrong),
        }
    }
    slips.sort_by_key(|slip| slip.at);
    slips.dedup();
    let errors = slips.into_iter().map(|slip| RuleError::at(file, text, slip.at, slip.message));
    let errors: Vec<RuleError> = errors.collect();
    if errors.is_empty() { Ok(found) } else { Err(errors) }
}

/// [`load`] as a registry calls it.
pub fn read(
    RuleSource { file, family, text }: &RuleSource,
    ops: &OpSet,
    rules: &Rules,
) -> Result<Vec<Arc<dyn RewriteRule>>, RegisterError> {
    let found = load((file, family), text, ops, rules).map_err(|errors| {
        let lines: String = errors.iter().map(|error| format!("\n  {error}")).collect();
        RegisterError::RuleFile(lines)
    })?;
    Ok(found.into_iter().map(|rule| -> Arc<dyn RewriteRule> { Arc::new(rule) }).collect())
}

struct Source<'t> {
    file: &'t str,
    family: &'t str,
    text: &'t str,
}

impl Source<'_> {
    fn info(&self, rule: &RuleText, name: &str, aim: Aim) -> RuleInfo {
        let at = RuleError::at(self.file, self.text, rule.span.0.start, String::new());
        RuleInfo {
            name: name.to_string(),
            doc: rule.doc.join(" "),
            family: self.family.to_string(),
            origin: at.origin,
            text: self.text.get(rule.span.0.clone()).unwrap_or("").to_string(),
            aim,
        }
    }
}

fn is_sentence(doc: &[String]) -> bool {
    doc.last().is_some_and(|line| line.ends_with('.'))
}

/// One rule, or two if it goes both ways.
fn resolve(rule: &RuleText, known: Known<'_>, source: &Source<'_>) -> Result<Vec<FileRule>, Vec<Slip>> {
    let mut slips = Vec::new();
    let at = rule.span.0.start;
    if !is_sentence(&rule.doc) {
        let message =
            format!("rule `{}` has no sentence that says the identity, as `/// ... .`", rule.name.text);
        slips.push(Slip::new(at, message));
    }
    slips.extend(name(&rule.name));
    let mut rules = Vec::new();
    let there = source.info(rule, &rule.name.text, rule.aim);
    match direction(rule, (&rule.find, &rule.put), known, there) {
        Ok(resolved) => rules.push(resolved),
        Err(wrong) => slips.extend(wrong),
    }
    if rule.ways == Ways::ThereAndBack && slips.is_empty() {
        let back = source.info(rule, &format!("{}-back", rule.name.text), Aim::Explore);
        match direction(rule, (&rule.put, &rule.find), known, back) {
            Ok(resolved) => rules.push(resolved),
            Err(wrong) => slips.extend(
                wrong
                    .into_iter()
                    .map(|slip| Slip { message: format!("on the way back: {}", slip.message), ..slip }),
            ),
        }
    }
    if slips.is_empty() { Ok(rules) } else { Err(slips) }
}

fn name(name: &Name) -> Option<Slip> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fine = name.text.chars().all(plain) && !matches!(name.text.as_str(), "all" | "rule");
    (!fine).then(|| {
        Slip::new(
            name.span.0.start,
            format!("`{}` is no name for a rule: expected lower-case words with `-` between them", name.text),
        )
    })
}

fn direction(
    rule: &RuleText,
    (find, put): (&[Expr], &[Expr]),
    known: Known<'_>,
    info: RuleInfo,
) -> Result<FileRule, Vec<Slip>> {
    let mut scope = Scope::new(known);
    let patterns: Vec<Pattern> = find.iter().filter_map(|expr| scope.root(expr)).collect();
    if scope.slips.is_empty() {
        together(&patterns, find, &mut scope);
    } else {
        scope.all_known = false;
    }
    rule.lets.iter().for_each(|(name, expr)| scope.define(name, expr));
    let mut conditions = scope.implied();
    conditions.extend(rule.conditions.iter().filter_map(|text| scope.condition(text)));
    if find.len() != put.len() {
        let at = put.first().map_or(0, |expr| expr.span.0.start);
        let message =
            format!("{} values are looked for and {} put in, expected as many", find.len(), put.len());
        scope.slips.push(Slip::new(at, message));
    }
    let roots: Vec<&str> = patterns.iter().filter_map(|p| p.made()?.name.as_deref()).collect();
    let put = put.iter().filter_map(|expr| scope.value(expr, &roots)).collect();
    if scope.slips.is_empty() { Ok(FileRule { info, patterns, conditions, put }) } else { Err(scope.slips) }
}

/// Checks that every pattern but the first has a variable in common with one before it, from which
/// it can be found.
fn together(patterns: &[Pattern], exprs: &[Expr], scope: &mut Scope<'_>) {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for (pattern, expr) in patterns.iter().zip(exprs) {
        let own = variables(pattern);
        if !seen.is_empty() && own.iter().all(|var| !seen.contains(var)) {
            let message = "it has no value in common with what is looked for before it";
            scope.slips.push(Slip::new(expr.span.0.start, message));
        }
        seen.extend(own);
    }
}

/// The variables that stand for values.
fn variables(pattern: &Pattern) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    for made in pattern.operators() {
        found.extend(made.name.as_deref());
        found.extend(made.front.as_deref());
        found.extend(made.back.as_deref());
        found.extend(made.operands.iter().filter_map(|operand| match operand {
            Pattern::Any(var) => Some(&**var),
            _ => None,
        }));
    }
    found
}

/// What an expression is, for messages.
fn described(expr: &Expr) -> String {
    match &expr.what {
        What::Call(call) => format!("`{}(...)`", call.name),
        _ => format!("`{expr}`"),
    }
}
