//! `weft targets`
use crate::args::Talk;
use crate::failure::Failure;
use crate::out;
use serde_json::json;
use weft::Error;
use weft_backend::Target;

pub(crate) fn run(talk: Talk) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for name in weft_llvm::cpu_names() {
        rows.push((name, weft_llvm::target(name).map_err(Error::from)?));
    }
    if talk.json {
        let row = |(name, target): &(&str, Target)| {
            json!({
                "name": name,
                "cpu": target.cpu,
                "vector_bits": target.vector_bytes() * 8,
                "fma": target.fma(),
                "vnni": target.vnni,
                "bf16": target.bf16,
                "l1": target.l1,
                "l2": target.l2,
                "l3": target.l3,
            })
        };
        out::json(&json!({ "cpu": rows.iter().map(row).collect::<Vec<_>>() }));
    } else {
        out::print("--target cpu, with --cpu:\n");
        rows.iter().for_each(|(name, target)| out::line(&line(name, target)));
    }
    Ok(())
}

fn line(name: &str, target: &Target) -> String {
    let mut features = vec![format!("{}-bit vectors", target.vector_bytes() * 8)];
    let more = [(target.fma(), "fma"), (target.vnni, "vnni"), (target.bf16, "bf16")];
    features.extend(more.iter().filter(|(has, _)| *has).map(|(_, feature)| (*feature).to_string()));
    let real = if name == "native" { format!(" ({})", target.cpu) } else { String::new() };
    format!("  {name:16} {}{real}", features.join(", "))
}
