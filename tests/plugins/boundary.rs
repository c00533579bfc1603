//! The header and the Rust side say the same.
use crate::built;
use std::fmt::Write as _;
use std::mem::offset_of;
use std::process::Command;
use weft_abi::{
    ABI_VERSION, CTensor, Call, FORMAT, OptionEntry, PassEntry, PipelineEntry, PluginTable, RulesEntry,
    Setting, Text,
};

macro_rules! layout {
    ($($ours:ty as $theirs:literal { $($field:ident)* })*) => {{
        let mut text = String::new();
        $(
            let (name, size) = ($theirs, size_of::<$ours>());
            let _ = writeln!(text, "_Static_assert(sizeof({name}) == {size}, \"{name}\");");
            $(
                let (field, offset) = (stringify!($field), offset_of!($ours, $field));
                let _ = writeln!(
                    text,
                    "_Static_assert(offsetof({name}, {field}) == {offset}, \"{name}.{field}\");"
                );
            )*
        )*
        text
    }};
}

#[test]
fn the_header_is_laid_out_as_the_structs() {
    let mut text = layout! {
        Text as "weft_text" { data length }
        OptionEntry as "weft_option" { name default_value help }
        Setting as "weft_setting" { name value }
        Call as "weft_call" {
            size host module settings setting_count rewrites_left
            answer fail rewrote declined weight add_weight operators
        }
        PassEntry as "weft_pass" {
            name summary explanation kind first_stage last_stage options option_count check run data
        }
        PipelineEntry as "weft_pipeline" { name summary steps }
        RulesEntry as "weft_rules" { family text }
        CTensor as "weft_tensor" { data shape rank code bits lanes }
        PluginTable as "weft_plugin" {
            abi format size fault name version summary passes pass_count pipelines pipeline_count operators
            rules rules_count
        }
    };
    let _ = writeln!(text, "_Static_assert(WEFT_PLUGIN_ABI == {ABI_VERSION}, \"ABI\");");
    let _ = writeln!(text, "_Static_assert(WEFT_FORMAT == {FORMAT}, \"format\");");
    let function =
        "int given(const weft_tensor *, size_t, weft_tensor *, size_t);\nweft_function taken = given;";
    let _ = writeln!(text, "{function}");
    compiles("cc", &["-std=c11"], "layout.c", &text);
}

#[test]
fn the_header_is_c99_and_cpp() {
    let text = "int main(void) { return 0; }\n";
    compiles("cc", &["-std=c99"], "plain.c", text);
    compiles("c++", &["-std=c++11"], "plain.cpp", text);
}

fn compiles(compiler: &str, flags: &[&str], name: &str, text: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    std::fs::write(&file, format!("#include \"weft_plugin.h\"\n{text}")).unwrap();
    let mut command = Command::new(compiler);
    command.args(flags).args(["-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only", "-I"]);
    let output = command.arg(built::root().join("passes/abi/include")).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
