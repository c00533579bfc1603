//! Pieces of a choice, each as an integer linear program.
//!
//! A variable for each option is 1 if it is taken. A class that is needed takes one option, any
//! other at most one; an option is taken only if each of its operands takes one.
use super::reduce::Open;
use crate::choices::{Choices, Taken};
use microlp::{
    ComparisonOp, LinearExpr, OptimizationDirection, Problem, Solution, SolutionStatus, SolveOptions,
    SolveOutcome, Variable,
};
use petgraph::unionfind::UnionFind;
use std::collections::{BTreeMap, BTreeSet};

/// Branches that a solver may follow in one program.
const BRANCHES: u64 = 2000;

/// Classes that have to be decided together.
pub(super) struct Piece(BTreeSet<usize>);

impl Piece {
    /// How many options all of its classes have.
    pub(super) fn choices(&self, open: &Open) -> usize {
        self.0.iter().map(|class| open.options[*class].len()).sum()
    }

    /// Whether a class is decided here.
    pub(super) fn has(&self, class: usize) -> bool {
        self.0.contains(&class)
    }
}

/// What is to be decided, in pieces that have nothing to do with each other.
pub(super) fn pieces(choices: &Choices, open: &Open) -> Vec<Piece> {
    let undecided = |class: &usize| !open.options[*class].is_empty() && !open.settled(*class);
    let classes: Vec<usize> = (0..open.options.len()).filter(undecided).collect();
    let mut together = UnionFind::new(open.options.len());
    let mut knots: BTreeMap<usize, usize> = BTreeMap::new();
    for class in &classes {
        // What may be made of each other is ruled out together.
        together.union(*class, *knots.entry(open.knots[*class]).or_insert(*class));
        for option in &open.options[*class] {
            let children = &choices.classes[*class].options[*option].children;
            for child in children.iter().filter(|child| !open.needed[**child]) {
                together.union(*class, *child);
            }
        }
    }
    let mut pieces: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for class in classes {
        pieces.entry(together.find(class)).or_default().insert(class);
    }
    pieces.into_values().map(Piece).collect()
}

/// The program of one piece, solved.
pub(super) struct Program {
    variables: BTreeMap<(usize, usize), Variable>,
    /// `None` only while it is solved anew.
    solution: Option<Solution>,
}

impl Program {
    /// The cheapest way to decide a piece, circles aside.
    pub(super) fn new(choices: &Choices, open: &Open, piece: &Piece) -> Result<Self, String> {
        let mut problem = Problem::new(OptimizationDirection::Minimize);
        let all = piece.0.iter().flat_map(|class| open.options[*class].iter().map(|at| (*class, *at)));
        let cost = |(class, at): (usize, usize)| choices.classes[class].options[at].cost;
        // The solver's tolerances are made for numbers about 1.
        let most = all.clone().map(cost).max().unwrap_or(1).max(1) as f64;
        let variables: BTreeMap<_, _> =
            all.map(|key| (key, problem.add_binary_var(cost(key) as f64 / most))).collect();
        let of = |class: usize, sign: f64| -> Vec<(Variable, f64)> {
            open.options[class].iter().map(|at| (variables[&(class, *at)], sign)).collect()
        };
        for class in &piece.0 {
            let how = if open.needed[*class] { ComparisonOp::Eq } else { ComparisonOp::Le };
            problem.add_constraint(of(*class, 1.0), how, 1.0);
            for (child, options) in using(choices, open, *class) {
                let taken = options.into_iter().map(|at| (variables[&(*class, at)], 1.0));
                let row: Vec<(Variable, f64)> = taken.chain(of(child, -1.0)).collect();
                problem.add_constraint(row, ComparisonOp::Le, 0.0);
            }
        }
        let mut options = SolveOptions::default();
        options.node_limit = Some(BRANCHES);
        let solution = proven(problem.solve_with(options))?;
        Ok(Self { variables, solution: Some(solution) })
    }

    /// Takes what was decided.
    pub(super) fn take(&self, taken: &mut Taken) {
        let Some(solution) = &self.solution else { return };
        self.variables.keys().for_each(|(class, _)| taken[*class] = None);
        for ((class, at), variable) in &self.variables {
            if solution.var_value(*variable) > 0.5 {
                taken[*class] = Some(*at);
            }
        }
    }

    /// Decides anew, so that the classes of a circle, each with the next one, are not made of each other.
    pub(super) fn rule_out(&mut self, choices: &Choices, circle: &[(usize, usize)]) -> Result<(), String> {
        let Some(solution) = self.solution.take() else { return Err("the program is not solved".into()) };
        let mut row = LinearExpr::empty();
        let mut free = 0;
        for (class, next) in circle {
            let mine = self.variables.range((*class, 0)..(*class + 1, 0));
            let leads = |at: usize| choices.classes[*class].options[at].children.contains(next);
            let leading: Vec<Variable> =
                mine.filter(|((_, at), _)| leads(*at)).map(|(_, var)| *var).collect();
            free += usize::from(!leading.is_empty());
            leading.into_iter().for_each(|variable| row.add(variable, 1.0));
        }
        let most = free.saturating_sub(1) as f64;
        self.solution = Some(proven(solution.add_constraint(row, ComparisonOp::Le, most))?);
        Ok(())
    }
}

/// The operands that a class may need and others need not, each with the options that need it.
fn using(choices: &Choices, open: &Open, class: usize) -> BTreeMap<usize, Vec<usize>> {
    let mut using: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for at in &open.options[class] {
        let children: BTreeSet<usize> =
            choices.classes[class].options[*at].children.iter().copied().collect();
        for child in children.into_iter().filter(|child| !open.needed[*child]) {
            using.entry(child).or_default().push(*at);
        }
    }
    using
}

/// A solution that is shown to be the best, or the limit that was met.
fn proven(outcome: Result<SolveOutcome, microlp::Error>) -> Result<Solution, String> {
    let outcome = outcome.map_err(|error| format!("the solver gave up: {error}"))?;
    let solution = outcome.into_solution().map_err(|_| format!("branches={BRANCHES}"))?;
    match solution.status() {
        SolutionStatus::Optimal => Ok(solution),
        _ => Err(format!("branches={BRANCHES}")),
    }
}
