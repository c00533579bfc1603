//! Patterns of one rule that look for the same: matching them in one order is enough.
use std::collections::BTreeMap;
use weft_passes::rule::{AttrPattern, Made, Pattern, Var};

/// The pairs of patterns, earlier ones first, that are alike but for the names of variables that
/// none but them has.
pub(crate) fn interchangeable(patterns: &[Pattern]) -> Vec<(usize, usize)> {
    let variables: Vec<Vec<Var>> = patterns.iter().map(variables).collect();
    let shared = |at: usize, var: &Var| {
        variables.iter().enumerate().any(|(other, variables)| other != at && variables.contains(var))
    };
    let shape = |at: usize| renamed(&patterns[at], &|var| shared(at, var));
    let shapes: Vec<Pattern> = (0..patterns.len()).map(shape).collect();
    let pairs = (0..shapes.len()).flat_map(|b| (0..b).map(move |a| (a, b)));
    pairs.filter(|(a, b)| shapes[*a] == shapes[*b]).collect()
}

/// The variables of a pattern, in the order in which they come.
fn variables(pattern: &Pattern) -> Vec<Var> {
    let mut found = Vec::new();
    visit(&mut pattern.clone(), &mut |var| found.push(var.clone()));
    found
}

/// The pattern with the variables that are not kept numbered in the order in which they come.
fn renamed(pattern: &Pattern, keep: &dyn Fn(&Var) -> bool) -> Pattern {
    let mut pattern = pattern.clone();
    let mut names: BTreeMap<Var, Var> = BTreeMap::new();
    visit(&mut pattern, &mut |var| {
        if !keep(var) {
            let number = names.len();
            *var = names.entry(var.clone()).or_insert_with(|| format!("{number}").into()).clone();
        }
    });
    pattern
}

/// Shows every variable, outer operators first.
fn visit(pattern: &mut Pattern, see: &mut dyn FnMut(&mut Var)) {
    let mut open = vec![pattern];
    while let Some(pattern) = open.pop() {
        match pattern {
            Pattern::Any(var) => see(var),
            Pattern::Made(made) => {
                let Made { name, front, operands, back, attrs, others, .. } = &mut **made;
                [name, front, back, others].into_iter().flatten().for_each(&mut *see);
                for attr in attrs.values_mut() {
                    if let AttrPattern::Any(var) = attr {
                        see(var);
                    }
                }
                open.extend(operands);
            }
            Pattern::Absent | Pattern::Number(_) | Pattern::Ints(_) => {}
        }
    }
}
