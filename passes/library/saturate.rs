//! Gives a graph the cheapest form that rules can give it.
//!
//! Before: `%q = MatMul(%x, %a)`, `%k = MatMul(%x, %b)`. After: `%q, %k = Split(MatMul(%x,
//! Concat(%a, %b)), ...)`, where one product takes less than two, by `matmuls-of-same-left`.
//!
//! All forms that the rules give are kept beside each other, so a rule may make a graph worse on
//! the way to a better one, and their order does not matter; of a family the rules that only
//! explore run too. What is cheaper is for the target to say. The option `rules` names rules and
//! families, with `|` between them. A search stops when it finds nothing new, or at its limits,
//! and then says so; nothing changes unless the result is cheaper than the graph was.
//!
//! What is taken of all forms is found greedily, with moves that pay together; `extract=ilp`, in a
//! weft built with the feature `ilp`, proves it to be the cheapest, where that takes no more than
//! some thousand choices that hang together; else it says which limit it met, and stays greedy.
//!
//! Unless rules are named, those families run that made a real model faster when it was measured
//! (`make saturation`): convolutions and products, whose weights take in what stands beside them,
//! and the elementwise rules that bring it there. `all` runs every family.
use weft_egraph::{Extraction, Limits, Saturate};
use weft_ir::Stage;
use weft_passes::rule::Aim;
use weft_passes::{OptionError, OptionInfo, PassInfo, PassKind};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "saturate",
    summary: "finds the cheapest of all forms that rules give a graph",
    options: &[
        OptionInfo {
            name: "rules",
            default: "conv|elementwise|matmul",
            help: "rules and families of rules, with `|` between them; `all` for every family",
        },
        OptionInfo { name: "nodes", default: "20000", help: "how many e-nodes there may be" },
        OptionInfo {
            name: "iterations",
            default: "12",
            help: "how often every rule is looked for everywhere",
        },
        OptionInfo { name: "matches", default: "500", help: "how often one rule may fire in one iteration" },
        OptionInfo {
            name: "extract",
            default: "greedy",
            help: "`greedy`, or `ilp` for what is proven to be the cheapest of all",
        },
    ],
    kind: PassKind::Exact,
    accepts: (Stage::Canonical, Stage::Lowered),
    build: &|options| {
        let limits = Limits {
            nodes: options.number("nodes")?,
            iterations: options.number("iterations")?,
            matches: options.number("matches")?,
        };
        let extraction: Result<Extraction, _> = options.text("extract").parse();
        let extraction = extraction.map_err(|why| OptionError::Refused(why.to_string()))?;
        Ok(Box::new(Saturate::new(options.rules("rules", Aim::Explore)?, limits, extraction)))
    },
};
