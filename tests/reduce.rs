//! `weft::reduce` on a planted miscompile, a pass that gives up, and a program that judges.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;
use weft::Driver;
use weft::reduce::{Check, Fault, Reduced, reduce};
use weft_ir::text::{NoWeights, Style, print};
use weft_ir::{Module, NodeId, OpSet, Stage};
use weft_passes::{
    Declined, EachNode, PassInfo, PassKind, Plugin, PluginInfo, RegisterError, Registrar, Rewriter, node,
};

/// Takes the difference of an exponential and a root the wrong way around.
const WRONG: PassInfo = PassInfo {
    name: "plant-wrong",
    summary: "computes something else",
    options: &[],
    kind: PassKind::Exact,
    accepts: (Stage::Canonical, Stage::Lowered),
    build: &|_| Ok(Box::new(EachNode(wrong))),
};

fn wrong(g: &mut Rewriter<'_>, id: NodeId) -> Result<(), Declined> {
    let Some((a, b)) = g.pair(id).filter(|_| g.applies(id, "Sub")) else { return Ok(()) };
    if g.made_by(a, "Exp").is_none() || g.made_by(b, "Sqrt").is_none() {
        return Ok(());
    }
    let sum = g.add(node("Add", []), &[Some(a), Some(b)])?;
    g.replace(g.result(id), sum);
    Ok(())
}

/// Gives an operator an attribute that it has not.
const BREAKS: PassInfo = PassInfo {
    name: "plant-breach",
    build: &|_| {
        Ok(Box::new(EachNode(|g, id| {
            if g.applies(id, "Softmax") && !g.node(id).attrs.contains_key("nonsense") {
                g.set_attr(id, "nonsense", Some(weft_ir::Attr::Int(7)));
            }
            Ok(())
        })))
    },
    ..WRONG
};

/// Brings both in.
struct Faulty;

impl Plugin for Faulty {
    fn info(&self) -> PluginInfo {
        PluginInfo { name: "faulty", version: "1", summary: "passes that should not be" }
    }

    fn register(&self, registrar: &mut Registrar) -> Result<(), RegisterError> {
        registrar.passes(&[(WRONG, ""), (BREAKS, "")]);
        Ok(())
    }
}

fn driver() -> Driver {
    let mut driver = Driver::new().unwrap();
    driver.add(&Faulty).unwrap();
    driver
}

/// Five hundred nodes in a braid of four strands, the pattern somewhere in the middle of one.
fn braid() -> Module {
    let mut text = "weft 1 canonical\nweight @w : f32[16, 16] = seeded(3, -0.3, 0.3)\n\
         graph @main(%a0: f32[N, 16], %b0: f32[N, 16]) -> (f32[N, 16], f32[N, 16]) {\n\
         %w = Const() {value = @w} : f32[16, 16]\n"
        .to_string();
    let mut line = |name: &str, node: &str| writeln!(text, "%{name} = {node} : f32[N, 16]").unwrap();
    for i in 0..100 {
        let next = i + 1;
        line(&format!("t{next}"), &format!("Tanh(%a{i})"));
        line(&format!("m{next}"), &format!("MatMul(%t{next}, %w)"));
        line(&format!("s{next}"), &format!("Sigmoid(%b{i})"));
        if i == 57 {
            line("e", "Exp(%m58)");
            line("r", "Sqrt(%s58)");
            line("d", "Sub(%e, %r)");
            line("p", "Softmax(%d)");
            line("a58", "Add(%p, %t58)");
        } else {
            line(&format!("a{next}"), &format!("Add(%m{next}, %b{i})"));
        }
        line(&format!("b{next}"), &format!("Mul(%s{next}, %a{next})"));
    }
    text += "return %a100, %b100\n}\n";
    Module::parse(&text, OpSet::builtin(), &NoWeights).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn text_of(module: &Module) -> String {
    print(module, OpSet::builtin(), Style::default())
}

fn reduced(pipeline: &str, check: Check) -> Reduced {
    reduce(&driver(), &braid(), pipeline, check).unwrap().unwrap()
}

#[test]
fn a_miscompile_among_five_hundred_nodes_becomes_a_few() {
    assert!(braid().graph.len() > 500);
    let pipeline = "identities,plant-wrong,common-subexpressions,dead-code";
    let Reduced { module, fault, tried } = reduced(pipeline, Check::Any);
    let text = text_of(&module);
    assert!(module.graph.len() < 10, "{text}");
    for op in ["Exp(", "Sqrt(", "Sub("] {
        assert_eq!(text.matches(op).count(), 1, "{text}");
    }
    assert!(matches!(&fault, Fault::Differs(how) if how.contains("output")), "{fault}");
    assert!(tried < 500, "{tried} tries");
    assert_eq!(text_of(&reduced(pipeline, Check::Any).module), text);
}

#[test]
fn a_breach_of_the_rules_becomes_a_node() {
    let Reduced { module, fault, .. } = reduced("plant-breach", Check::Error);
    let text = text_of(&module);
    assert_eq!(module.graph.len(), 1, "{text}");
    assert!(text.contains("Softmax(") && text.contains("f32[1, 1]"), "{text}");
    assert!(matches!(&fault, Fault::Breaks { pass, .. } if pass == "plant-breach"), "{fault}");
}

#[test]
fn a_program_may_judge() {
    let folder = tempfile::tempdir().unwrap();
    let judge = folder.path().join("judge");
    std::fs::write(&judge, "#!/bin/sh\ngrep -q 'Sqrt(' \"$1\" && grep -q 'Softmax(' \"$1\"\n").unwrap();
    std::fs::set_permissions(&judge, std::fs::Permissions::from_mode(0o755)).unwrap();
    let Reduced { module, fault, .. } = reduced("dead-code", Check::Command(judge));
    assert_eq!(module.graph.len(), 2, "{}", text_of(&module));
    assert_eq!(fault, Fault::Command);
}

#[test]
fn what_does_not_fail_is_not_reduced() {
    assert!(reduce(&driver(), &braid(), "identities,dead-code", Check::Any).unwrap().is_none());
}
