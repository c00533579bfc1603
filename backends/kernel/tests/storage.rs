//! How constant matrices lie in a program: which kernels read them, as what, and in how many bytes. That results are
//! right is for `lowering.rs`, `codes.rs` and `tests/compiled`.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use weft_ir::text::NoWeights;
use weft_ir::{DType, Module, OpSet};
use weft_kernel::program::{Program, WeightData};
use weft_kernel::schedule::Machine;

fn lowered(text: &str, machine: &Machine) -> Program {
    let module = Module::parse(text, OpSet::builtin(), &NoWeights).unwrap();
    weft_kernel::lower::lower(&module, OpSet::builtin(), machine).unwrap()
}

/// `x` times a matrix that is made from `weights`, where `rows` are known or not.
fn product(rows: &str, weights: &str) -> String {
    format!(
        "weft 1 canonical
weight @w : {weights}
graph @main(%x: f32[{rows}, 64]) -> (f32[{rows}, 96]) {{
    %w = Const() {{value = @w}} : {}
    %m = Cast(%w) {{to = f32}} : f32[64, 96]
    %y = MatMul(%x, %m) : f32[{rows}, 96]
    return %y
}}
",
        weights.split(" =").next().unwrap()
    )
}

/// What the buffers of all kernels hold.
fn elements(program: &Program) -> Vec<DType> {
    program.kernels.iter().flat_map(|kernel| &kernel.buffers).map(|buffer| buffer.elem).collect()
}

/// Bytes of what is packed.
fn packed(program: &Program) -> usize {
    let bytes = program.weights.iter().map(|weight| match weight.data {
        WeightData::Packed(bytes, _) => bytes,
        WeightData::Plain(_) => 0,
    });
    bytes.sum()
}

#[test]
fn numbers_of_16_bits_are_held_so() {
    for (dtype, held) in [("bf16", DType::Bf16), ("f16", DType::F16)] {
        for rows in ["1", "4", "M"] {
            let program = lowered(&product(rows, &format!("{dtype}[64, 96] = seeded(1)")), &Machine::X86_V4);
            assert!(elements(&program).contains(&held), "{dtype}, {rows} rows");
            assert!((64 * 96 * 2..64 * 96 * 3).contains(&packed(&program)), "{dtype}: {}", packed(&program));
        }
    }
}

#[test]
fn many_rows_and_other_numbers_are_read_as_f32() {
    let many = lowered(&product("300", "bf16[64, 96] = seeded(1)"), &Machine::X86_V4);
    let wide = product("M", "f64[64, 96] = seeded(1)");
    let no_half = lowered(&product("M", "f16[64, 96] = seeded(1)"), &Machine::X86_V2);
    for program in [many, lowered(&wide, &Machine::X86_V4), no_half] {
        let found = elements(&program);
        assert!(!found.contains(&DType::Bf16) && !found.contains(&DType::F16), "{found:?}");
    }
}

#[test]
fn filters_of_16_bits_are_packed_as_f32() {
    for (op, dtype) in [("Conv", "bf16"), ("Conv", "f16"), ("ConvTranspose", "bf16")] {
        let text = format!(
            "weft 1 canonical
weight @w : {dtype}[64, 64, 1, 1] = seeded(1)
graph @main(%x: f32[N, 64, 9, 9]) -> (f32[N, 64, 9, 9]) {{
    %w = Const() {{value = @w}} : {dtype}[64, 64, 1, 1]
    %f = Cast(%w) {{to = f32}} : f32[64, 64, 1, 1]
    %y = {op}(%x, %f) : f32[N, 64, 9, 9]
    return %y
}}
"
        );
        let program = lowered(&text, &Machine::X86_V4);
        let found = elements(&program);
        assert!(found.iter().all(|elem| *elem == DType::F32), "{op}, {dtype}: {found:?}");
        assert!(packed(&program) >= 64 * 64 * 4, "{op}, {dtype}: {}", packed(&program));
    }
}

#[test]
fn rows_of_codes_are_skipped_by_few_rows() {
    let masked = |rows: &str, scales: &str, axis: u32, block: u32| {
        format!(
            "weft 1 canonical
weight @q : u4[64, 96] = seeded(1, 0.0, 15.0)
weight @s : f32[{scales}] = seeded(2, 0.1, 1.0)
graph @main(%x: f32[{rows}, 64]) -> (f32[{rows}, 96]) {{
    %q = Const() {{value = @q}} : u4[64, 96]
    %s = Const() {{value = @s}} : f32[{scales}]
    %w = DequantizeLinear(%q, %s) {{axis = {axis}, block_size = {block}}} : f32[64, 96]
    %limit = Const() {{value = f32[]{{0.5}}}} : f32[]
    %zero = Const() {{value = f32[]{{0.0}}}} : f32[]
    %size = Abs(%x) : f32[{rows}, 64]
    %passes = Greater(%size, %limit) : bool[{rows}, 64]
    %some = Where(%passes, %x, %zero) : f32[{rows}, 64]
    %y = MatMul(%some, %w) : f32[{rows}, 96]
    return %y
}}
"
        )
    };
    let schedules = |text: &str| -> Vec<String> {
        let program = lowered(text, &Machine::X86_V4);
        program.kernels.into_iter().map(|kernel| kernel.schedule).filter(|s| s.contains("codes")).collect()
    };
    for (scales, axis, block) in [("64, 3", 1, 32), ("2, 96", 0, 32), ("64, 1", 1, 96)] {
        let one = schedules(&masked("1", scales, axis, block));
        assert!(one.len() == 1 && one[0].starts_with("codes4 gemv skipping"), "{one:?}");
        let some = schedules(&masked("M", scales, axis, block));
        assert!(some.len() == 2 && some[0].contains("skipping") && !some[1].contains("skipping"), "{some:?}");
        let many = schedules(&masked("30", scales, axis, block));
        assert!(many.len() == 1 && !many[0].contains("skipping"), "{many:?}");
    }
}
