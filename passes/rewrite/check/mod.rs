//! Whether a rule is true: both of its sides computed on many graphs made up to fit it.
//!
//! An instance is grown from what the rule looks for, with random shapes, element types, attributes
//! and numbers; the rule runs on it as on any graph, and the graph before and after is computed from
//! the same inputs. Most of what is made up does not meet the conditions, so new instances are often
//! variations of those that did. The same seed gives the same instances.
mod attrs;
mod compare;
mod dice;
mod grow;
mod instance;
mod operands;
mod trial;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use weft_ir::{Module, OpSet, Tensor};
use weft_passes::rule::RewriteRule;

use dice::Dice;
use trial::Trial;

/// Computes the outputs of a module; a backend is lent for it.
pub type Run<'r> = &'r dyn Fn(&Module, &[Arc<Tensor>]) -> Result<Vec<Tensor>, String>;

/// How thoroughly rules are checked.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// How many different instances are wanted.
    pub instances: usize,
    /// How many graphs are made up for each of them at most.
    pub patience: usize,
    /// Where the random numbers begin.
    pub seed: u64,
}

impl Default for Effort {
    fn default() -> Self {
        Self { instances: 64, patience: 64, seed: 1 }
    }
}

/// What became of a rule.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// On how many instances both sides agreed.
    pub agreed: usize,
    /// How many graphs were made up.
    pub tried: usize,
    /// An instance on which they do not.
    pub wrong: Option<Counterexample>,
    /// Reasons why the rule did not fire, and how often.
    pub declined: BTreeMap<String, usize>,
    /// The smallest instance on which it fired, before and after.
    pub example: Option<(String, String)>,
}

/// An instance that shows a rule to be wrong.
#[derive(Debug, Clone)]
pub struct Counterexample {
    /// The graph, in the written form.
    pub before: String,
    /// The graph that the rule made of it.
    pub after: String,
    /// The inputs, by name.
    pub inputs: Vec<(String, Tensor)>,
    /// What differs.
    pub difference: String,
}

/// Checks a rule on random instances.
pub fn check(rule: &Arc<dyn RewriteRule>, ops: &OpSet, effort: Effort, run: Run<'_>) -> Verdict {
    let mut verdict = Verdict::default();
    let mut seen = BTreeSet::new();
    let mut good: Vec<Vec<u64>> = Vec::new();
    let mut dice = Dice::new(effort.seed ^ seed_of(&rule.info().name));
    let mut size = usize::MAX;
    while verdict.agreed < effort.instances && verdict.tried < effort.instances * effort.patience {
        verdict.tried += 1;
        dice.begin(&good);
        let Some(instance) = instance::grow(rule.patterns(), ops, &mut dice) else { continue };
        match trial::run(rule, &instance, ops, run) {
            Trial::Declined(Some(why)) => *verdict.declined.entry(why).or_default() += 1,
            Trial::Declined(None) => {}
            Trial::Agreed(after) => {
                good.push(dice.tape().to_vec());
                let before = trial::text(&instance.module, ops);
                if before.len() < size {
                    size = before.len();
                    verdict.example = Some((before.clone(), trial::text(&after, ops)));
                }
                verdict.agreed += usize::from(seen.insert(before));
            }
            Trial::Wrong(counterexample) => {
                verdict.wrong = Some(counterexample);
                return verdict;
            }
        }
    }
    verdict
}

/// The FNV-1a hash of a name, so that every rule has instances of its own.
fn seed_of(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
