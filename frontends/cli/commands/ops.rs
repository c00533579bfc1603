//! `weft ops`
use crate::args::{NameArgs, Talk};
use crate::failure::Failure;
use crate::out;
use serde_json::{Value, json};
use weft_interp::Interpreter;
use weft_ir::op::Presence;
use weft_ir::{AttrDef, AttrDefault, OpDef, OperandDef};
use weft_passes::nearest;

pub(crate) fn run(args: &NameArgs, talk: Talk) -> Result<(), Failure> {
    let driver = args.extensions.driver()?;
    let ops = driver.ops();
    let interpreter = Interpreter::with_ops(ops);
    let Some(name) = &args.name else {
        if talk.json {
            out::json(&ops.iter().map(|op| as_json(op, &interpreter)).collect());
        } else {
            let width = ops.iter().map(|op| op.name.len()).max().unwrap_or(0);
            out::print(&ops.iter().map(|op| format!("{:width$}  {}\n", op.name, op.doc)).collect::<String>());
        }
        return Ok(());
    };
    let Some(op) = ops.get(name) else {
        let near = nearest(name, ops.iter().map(|op| op.name));
        let near = near.map(|near| format!(", did you mean `{near}`?")).unwrap_or_default();
        return Err(Failure::Misuse(format!("no operator `{name}`{near}")));
    };
    if talk.json {
        out::json(&as_json(op, &interpreter))
    } else {
        out::print(&as_text(op, &interpreter))
    }
    Ok(())
}

fn as_text(op: &OpDef, interpreter: &Interpreter) -> String {
    let operands: Vec<_> = op.operands.iter().map(operand_text).collect();
    let mut text = format!("{}({})\n{}\n", op.name, operands.join(", "), op.doc);
    for attr in op.attrs {
        text += &format!("attribute {}: {}, {}\n", attr.name, attr.kind, default_text(attr));
    }
    let (least, most) = op.results;
    let results = if least == most { least.to_string() } else { format!("{least} to {most}") };
    text += &format!("results: {results}\n");
    if op.regions > 0 {
        text += &format!("regions: {}\n", op.regions);
    }
    let traits = traits(op);
    if !traits.is_empty() {
        text += &format!("{}\n", traits.join(", "));
    }
    if !interpreter.computes(op.name) {
        text += "the interpreter does not know it\n";
    }
    if let Some(body) = op.body {
        text += &format!("\n{}", body.text);
    }
    text
}

fn operand_text(operand: &OperandDef) -> String {
    match operand.presence {
        Presence::Required => operand.name.to_string(),
        Presence::Optional => format!("{}?", operand.name),
        Presence::Variadic => format!("{}...", operand.name),
    }
}

fn default_text(attr: &AttrDef) -> String {
    match attr.default {
        AttrDefault::Required => "required".to_string(),
        AttrDefault::Absent => "optional".to_string(),
        AttrDefault::Implied(implied) => format!("default {implied}"),
        AttrDefault::Int(x) => format!("default {x}"),
        AttrDefault::Float(x) => format!("default {x:?}"),
        AttrDefault::Str(x) => format!("default {x:?}"),
        AttrDefault::Ints(x) => format!("default {x:?}"),
        AttrDefault::Type(x) => format!("default {x}"),
    }
}

fn traits(op: &OpDef) -> Vec<&'static str> {
    let all = [
        (op.traits.pure, "pure"),
        (op.traits.elementwise, "elementwise"),
        (op.traits.commutative, "commutative"),
    ];
    all.into_iter().filter(|(has, _)| *has).map(|(_, name)| name).collect()
}

fn as_json(op: &OpDef, interpreter: &Interpreter) -> Value {
    let attr =
        |a: &AttrDef| json!({ "name": a.name, "kind": a.kind.to_string(), "default": default_text(a) });
    json!({
        "name": op.name,
        "doc": op.doc,
        "operands": op.operands.iter().map(operand_text).collect::<Vec<_>>(),
        "attributes": op.attrs.iter().map(attr).collect::<Vec<_>>(),
        "results": [op.results.0, op.results.1],
        "regions": op.regions,
        "traits": traits(op),
        "interpreted": interpreter.computes(op.name),
    })
}
