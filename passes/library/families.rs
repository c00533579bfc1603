//! The families of rules, one file each.
use std::sync::Arc;
use weft_ir::OpSet;
use weft_passes::{RegisterError, Registry};

macro_rules! families {
    ($($name:literal)*) => {
        /// Every family and its text, by name.
        pub const ALL: &[(&str, &str)] = &[$(($name, include_str!(concat!("rules/", $name, ".rules"))),)*];
    };
}
families! {
    "broadcast"
    "cast"
    "concat"
    "conv"
    "elementwise"
    "logic"
    "matmul"
    "pool"
    "quant"
    "reduce"
    "reshape"
    "transpose"
}

/// Adds the functions that rules are written with, and every built-in rule.
pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterError> {
    weft_rules::add_functions(registry.rules_mut())?;
    for (family, text) in ALL {
        let file = format!("passes/library/rules/{family}.rules");
        let loaded = weft_rules::load((&file, family), text, OpSet::builtin(), registry.rules());
        let listed = |errors: Vec<weft_rules::RuleError>| {
            errors.iter().map(|error| format!("\n  {error}")).collect::<String>()
        };
        for rule in loaded.map_err(|errors| RegisterError::RuleFile(listed(errors)))? {
            registry.rules_mut().add(Arc::new(rule))?;
        }
    }
    Ok(())
}
