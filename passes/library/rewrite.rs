//! Runs rules wherever they fit, until none fits any more.
//!
//! Before: `%a = Transpose(%x) {perm = [0, 2, 1]}`, `%y = Transpose(%a) {perm = [2, 0, 1]}`. After:
//! `%y = Transpose(%x) {perm = [1, 0, 2]}`, by the rule `transpose-twice`.
//!
//! The option `rules` names rules and families of rules, with `|` between them; `all` are those
//! that never make anything worse. `weft rules` lists them. A rule fires where its conditions
//! certainly hold and where inference shows that the type of every value it replaces stays; the
//! first rule that fits is taken. Nodes are visited again as their surroundings change, but not
//! without end: rules that undo each other are stopped and told of.
use weft_ir::Stage;
use weft_passes::rule::Aim;
use weft_passes::{OptionInfo, PassInfo, PassKind};
use weft_rewrite::Greedy;

pub(crate) const INFO: PassInfo = PassInfo {
    name: "rewrite",
    summary: "runs rules wherever they fit",
    options: &[OptionInfo {
        name: "rules",
        default: "all",
        help: "rules and families of rules, with `|` between them",
    }],
    kind: PassKind::Exact,
    accepts: (Stage::Canonical, Stage::Lowered),
    build: &|options| Ok(Box::new(Greedy::new(options.rules("rules", Aim::Improve)?))),
};
