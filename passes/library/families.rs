//! The families of rules, one file each.
use weft_passes::Registrar;
use weft_passes::rule::RuleSource;

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
pub(crate) fn register(registrar: &mut Registrar) {
    weft_rules::functions().for_each(|function| registrar.function(function.clone()));
    for (family, text) in ALL {
        let file = format!("passes/library/rules/{family}.rules");
        registrar.rules(RuleSource { file, family: (*family).to_string(), text: (*text).to_string() });
    }
}
