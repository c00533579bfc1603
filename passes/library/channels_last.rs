//! Runs convolutions, poolings and resizings with their channels last.
//!
//! Before: `%y = Conv(%x, %w, %b)`. After: `%a = Transpose(%x) {perm = [0, 2, 3, 1]}`,
//! `%c = Conv(%a, %w, %b) {layout = "nhwc"}`, `%y = Transpose(%c) {perm = [0, 3, 1, 2]}`.
//!
//! With `norms=true`, `InstanceNormalization` and `GroupNormalization` as well, for backends whose
//! kernels of these know the layout.
//!
//! Weights keep their order of axes: backends pack them anyway. `sink-transposes` and
//! `cancel-transposes` then remove the transposes between neighbours. A `MaxPool` that also gives
//! indices is left alone, as those count elements in the order of the first layout.
use weft_ir::{Attr, AttrKind, NodeId, Stage};
use weft_passes::{
    Declined, Editor, OptionInfo, Outcome, Pass, PassContext, PassError, PassInfo, PassKind, Perm, Rewriter,
    node,
};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "channels-last",
    summary: "runs convolutions, poolings and resizings with their channels last",
    options: &[OptionInfo {
        name: "norms",
        default: "false",
        help: "whether normalisations over spatial axes turn, too",
    }],
    kind: PassKind::Exact,
    accepts: (Stage::Canonical, Stage::Lowered),
    build: &|options| Ok(Box::new(ChannelsLast { norms: options.flag("norms")? })),
};

struct ChannelsLast {
    norms: bool,
}

impl Pass for ChannelsLast {
    fn run(&self, edit: &mut Editor<'_>, _: &PassContext<'_>) -> Result<Outcome, PassError> {
        edit.each_node(|g, id| {
            let op = g.node(id).op.as_str();
            let knows_layout = g
                .ops()
                .get(op)
                .is_some_and(|def| def.attr("layout").is_some_and(|a| a.kind == AttrKind::Str));
            let turns = knows_layout && (self.norms || !NORMS.contains(&op));
            if turns && !g.node(id).attrs.contains_key("layout") { turn(g, id) } else { Ok(()) }
        })
    }
}

/// Operators whose definitions have a `layout` but that turn only when asked.
const NORMS: [&str; 2] = ["GroupNormalization", "InstanceNormalization"];

fn turn(g: &mut Rewriter<'_>, id: NodeId) -> Result<(), Declined> {
    if g.node(id).results.len() > 1 {
        return Err("its indices count elements with the channels first".into());
    }
    let x = g.operand(id, 0).ok_or("it has no operand")?;
    let rank = g.rank(x).filter(|rank| (3..=5).contains(rank)).ok_or("it has not 1 to 3 spatial axes")?;
    let last = Perm::channels_last(rank);
    let turned = g.add(node("Transpose", [("perm", last.attr())]), &[Some(x)])?;
    let mut operands = g.operands(id);
    operands[0] = Some(turned);
    let mut changed = g.node(id).clone().with("layout", Attr::Str("nhwc".to_string()));
    changed.results.clear();
    let changed = g.add(changed, &operands)?;
    let back = g.add(node("Transpose", [("perm", last.inverse().attr())]), &[Some(changed)])?;
    g.replace(g.result(id), back);
    Ok(())
}
