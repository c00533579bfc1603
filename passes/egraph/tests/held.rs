//! Forms that are held equal: one is taken, the others leave no trace.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
use weft_egraph::{Held, take_held};
use weft_ir::text::{NoWeights, Style, print};
use weft_ir::{Attr, DType, Module, Node, OpSet, Stage, Value};
use weft_passes::{
    Budget, Declined, Editor, Manager, Outcome, Pass, PassContext, PassError, PassInfo, PassKind, Plan,
    Rewriter, Silent, VerifyEach,
};

/// Two values, of which each is to be computed from the same.
const GRAPH: &str = "weft 1 canonical
graph @main(%x: f32[N, 4]) -> (f32[N, 4], f32[N, 4]) {
    %r = Relu(%x) : f32[N, 4]
    %y = Neg(%r) : f32[N, 4]
    %z = Tanh(%r) : f32[N, 4]
    return %y, %z
}
";

/// Holds `%r` equal to some unary operators of `%x`, and takes one.
struct Take(&'static [&'static str], Option<usize>);

const INFO: PassInfo = PassInfo {
    name: "take",
    summary: "takes a form",
    options: &[],
    kind: PassKind::Lossy,
    accepts: (Stage::Canonical, Stage::Canonical),
    build: &|_| Ok(Box::new(Take(&[], None))),
};

impl Pass for Take {
    fn run(&self, edit: &mut Editor<'_>, _: &PassContext<'_>) -> Result<Outcome, PassError> {
        edit.each_graph(|g| {
            let last = g.order().last().copied().unwrap();
            g.attempt(last, &mut |g, _| self.take(g)).map(drop)
        })
    }
}

impl Take {
    fn take(&self, g: &mut Rewriter<'_>) -> Result<(), Declined> {
        let value =
            Value { node: g.order().into_iter().find(|id| g.node(*id).op == "Relu").unwrap(), slot: 0 };
        let x = g.operand(value.node, 0);
        let mut form = |op: &&str| match *op {
            "Cast" => g.add(Node::new("Cast", Vec::new()).with("to", Attr::Type(DType::F64)), &[x]),
            op => g.add(Node::new(op, Vec::new()), &[x]),
        };
        let forms = self.0.iter().map(&mut form).collect::<Result<_, _>>()?;
        take_held(g, &[Held { value, forms, taken: self.1 }])
    }
}

fn taken(take: Take) -> (Outcome, String) {
    let ops = OpSet::builtin();
    let mut module = Module::parse(GRAPH, ops, &NoWeights).unwrap();
    let (context, budget) = (PassContext::of(ops), Budget::default());
    let mut manager = Manager { context, observer: &mut Silent, budget, verify_each: VerifyEach::Yes };
    let outcome = manager.run(&mut module, &Plan::of(INFO, Box::new(take))).unwrap();
    (outcome, print(&module, ops, Style::default()))
}

#[test]
fn the_form_takes_over_the_name() {
    let (outcome, text) = taken(Take(&["Abs", "Sigmoid"], Some(1)));
    assert_eq!((outcome, text), (Outcome::Changed, GRAPH.replace("Relu", "Sigmoid")));
}

#[test]
fn a_value_as_it_is() {
    assert_eq!(taken(Take(&["Abs", "Sigmoid"], None)), (Outcome::Unchanged, GRAPH.to_string()));
}

#[test]
fn a_form_of_another_type_is_refused() {
    assert_eq!(taken(Take(&["Abs", "Cast"], Some(0))), (Outcome::Unchanged, GRAPH.to_string()));
    assert_eq!(taken(Take(&["Abs"], Some(1))), (Outcome::Unchanged, GRAPH.to_string()));
}
