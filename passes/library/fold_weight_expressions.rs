//! Computes weights that a model computes from other weights, in double precision, and says what they were.
//!
//! Before: `%u = Div(%v, %b)`, `%t = Atan(%u)`, `%w = Mul(%t, %a)`, `%y = MatMul(%x, %w)`, with `%v`, `%a`
//! and `%b` constants. After: `%y = MatMul(%x, %w)` with `%w` a `Const`, and the note `weight compander,
//! arctan: a = 0.6, b = 0.7, |w| < 0.942478`.
//!
//! The whole expression is computed in f64 and rounded once, to the type that the model stores; only
//! operators that step (`Round`, a cast to fewer bits) see their operands rounded as the model states.
//! A result may be as large as the largest weight in it, or take `bytes`; larger ones are left
//! to the program, and what they are made of is looked at instead. Quantised data counts as no weight
//! in that: what quantisation saved stays saved. Moves and casts alone are left to `fold-constants`.
mod evaluate;
mod factors;
mod kinds;

use evaluate::Expression;
use std::collections::{BTreeMap, BTreeSet};
use weft_ir::types::Kind;
use weft_ir::{NodeId, Stage, Value};
use weft_passes::{
    Declined, Editor, Evaluate, OptionInfo, Outcome, Pass, PassContext, PassError, PassInfo, PassKind,
    Rewriter,
};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "fold-weight-expressions",
    summary: "computes weights that are computed from other weights, in double precision",
    options: &[OptionInfo {
        name: "bytes",
        default: "1048576",
        help: "how large a result may be that is larger than every weight in it",
    }],
    kind: PassKind::Exact,
    accepts: (Stage::Canonical, Stage::Lowered),
    build: &|options| Ok(Box::new(FoldWeightExpressions { bytes: options.number("bytes")? })),
};

/// Operators that give no number that was not there: nothing to be more precise about.
const MOVES: &[&str] = &[
    "Cast",
    "CastLike",
    "Compress",
    "Concat",
    "DequantizeLinear",
    "Expand",
    "Flatten",
    "Gather",
    "GatherElements",
    "GatherND",
    "Identity",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Tile",
    "Transpose",
    "Unsqueeze",
];

/// How much larger than its result or its weights anything within an expression may be.
const ROOM: u64 = 16;

struct FoldWeightExpressions {
    bytes: u64,
}

impl Pass for FoldWeightExpressions {
    fn run(&self, edit: &mut Editor<'_>, cx: &PassContext<'_>) -> Result<Outcome, PassError> {
        let evaluate = cx.evaluate.ok_or(PassError::Missing("evaluator"))?;
        edit.each_graph(|g| {
            let roots = self.roots(g);
            g.each_node(&mut |g: &mut Rewriter<'_>, id| match roots.get(&id) {
                Some(Root::Folds) => fold(g, id, evaluate),
                Some(Root::TooLarge) => Err("the result is larger than every weight in it".into()),
                None => Ok(()),
            })
        })
    }
}

/// A node whose constant results something needs that is not itself folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Root {
    Folds,
    TooLarge,
}

/// What is known of the constant expression that ends in a node.
#[derive(Debug, Clone, Copy, Default)]
struct Cone {
    /// The elements of the largest float constant it begins with.
    largest: u64,
    /// Whether it begins with nothing but what `bytes` may be spent on.
    dequantises: bool,
    /// Whether something is computed.
    computes: bool,
}

impl FoldWeightExpressions {
    /// The ends of constant expressions, each as large as it may be.
    fn roots(&self, g: &Rewriter<'_>) -> BTreeMap<NodeId, Root> {
        let order = g.order();
        let cones = cones(g, &order);
        let (mut needed, mut roots) = (BTreeSet::new(), BTreeMap::new());
        for id in order.iter().rev().filter(|id| cones.contains_key(id)) {
            let asked = |(user, _): &(NodeId, usize)| !cones.contains_key(user) || needed.contains(user);
            let is_needed = values(g, *id).any(|v| g.outputs().contains(&v) || g.uses(v).iter().any(asked));
            if !is_needed {
                continue;
            }
            let cone = cones[id];
            let is_float = values(g, *id).all(|v| g.dtype(v).kind() == Kind::Float);
            let fits = self.fits(g, *id, cone);
            if is_float && cone.computes {
                roots.insert(*id, if fits { Root::Folds } else { Root::TooLarge });
            }
            if !is_float || !fits {
                // It is computed at run time, or by other passes: its operands must be there.
                needed.insert(*id);
            }
        }
        roots
    }

    fn fits(&self, g: &Rewriter<'_>, id: NodeId, cone: Cone) -> bool {
        let spare = if cone.dequantises { 0 } else { self.bytes };
        values(g, id).all(|value| {
            let elements = elements(g, value);
            elements.is_some_and(|n| {
                n <= cone.largest || g.dtype(value).bytes(n).is_some_and(|bytes| bytes <= spare)
            })
        })
    }
}

/// The results of a node.
fn values(g: &Rewriter<'_>, id: NodeId) -> impl Iterator<Item = Value> {
    (0..g.node(id).results.len() as u32).map(move |slot| Value { node: id, slot })
}

/// How many elements a value has, if that is a number.
fn elements(g: &Rewriter<'_>, value: Value) -> Option<u64> {
    u64::try_from(g.ty(value).elements()?.as_fixed()?).ok()
}

/// Every node that follows from constants, but those that hold one.
fn cones(g: &Rewriter<'_>, order: &[NodeId]) -> BTreeMap<NodeId, Cone> {
    let mut cones: BTreeMap<NodeId, Cone> = BTreeMap::new();
    for id in order.iter().copied().filter(|id| g.is_computable(*id)) {
        let op = g.node(id).op.as_str();
        let float = values(g, id).any(|v| g.dtype(v).kind() == Kind::Float);
        let mut cone = Cone {
            computes: float && !MOVES.contains(&op),
            dequantises: op == "DequantizeLinear",
            ..Cone::default()
        };
        let all = g.operands(id).into_iter().flatten().all(|operand| match cones.get(&operand.node) {
            Some(inner) => {
                cone.largest = cone.largest.max(inner.largest);
                cone.computes |= inner.computes;
                cone.dequantises |= inner.dequantises;
                true
            }
            None => g.data(operand).is_some_and(|data| {
                let weighs = data.dtype().kind() == Kind::Float;
                cone.largest = cone.largest.max(if weighs { data.len() } else { 0 });
                true
            }),
        });
        if all {
            cones.insert(id, cone);
        }
    }
    cones
}

fn fold(g: &mut Rewriter<'_>, id: NodeId, evaluate: &dyn Evaluate) -> Result<(), Declined> {
    let expression = Expression::of(g, id);
    let room = expression.leaves.iter().map(|leaf| elements(g, *leaf).unwrap_or(0)).max().unwrap_or(0);
    let room = ROOM * values(g, id).filter_map(|v| elements(g, v)).fold(room.max(1 << 16), u64::max);
    let within = |id: &NodeId| values(g, *id).all(|v| elements(g, v).is_some_and(|n| n <= room));
    if !expression.nodes.iter().all(within) {
        return Err("something within the expression is much larger than its weights".into());
    }
    let found = expression.evaluate(g, evaluate)?;
    let weighs = elements(g, g.result(id)).is_some_and(|n| n > 1);
    let note = weighs.then(|| kinds::describe(g, g.result(id), &expression, &found.ranges));
    for (value, tensor) in values(g, id).collect::<Vec<_>>().into_iter().zip(found.results) {
        let constant = g.constant(tensor)?;
        g.replace(value, constant);
    }
    note.iter().for_each(|note| g.note(note));
    Ok(())
}
