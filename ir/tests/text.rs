//! The written form: what is read, what is printed, and what is refused.
use weft_ir::text::{NoWeights, Style, print, weights_by_digest};
use weft_ir::{Module, OpSet};

/// The text printed for a text, read again and printed again.
fn round(text: &str) -> String {
    let ops = OpSet::builtin();
    let module = Module::parse(text, ops, &NoWeights).unwrap_or_else(|e| panic!("{e}"));
    let once = print(&module, ops, Style::default());
    let again = Module::parse(&once, ops, &weights_by_digest(&module)).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(once, print(&again, ops, Style::default()));
    once
}

#[test]
fn prints_what_it_read() {
    let text = r#"weft 1 canonical
meta "producer" = "py\"torch\n"
graph @main(%x: f32[N, 3], %"a b": i64[2*N+1, (H+1)/2]) -> (f32[N, 3], f32[2]) {
    %w = Const() {value = f32[2]{1.0, -0.0}} : f32[2]
    %/y/out_0~1 = Add(%x, %x) : f32[N, 3]
    %e = weft.Extents() {value = [N, 3*H, (H+1)/2-1, min(?e.0, N)]} : i64[4]
    return %/y/out_0~1 as "out name", %w
}
"#;
    assert_eq!(round(text), text);
}

#[test]
fn weights_stand_in_the_head() {
    let text = "weft 1 imported
        weight @w : f32[17, 2] = seeded(7) // comment
        weight @z : i4[33] = zeros
        graph @main() -> (f32[17, 2], i4[33]) {
            %a = Const() {value = @w} : f32[17, 2]
            %again = Const() {value = @w} : f32[17, 2]
            %\"z z\" = Const() {value = @z} : i4[33]
            return %a, %\"z z\"
        }";
    let printed = round(text);
    assert!(printed.contains("weight @\"z z\" : i4[33] = blake3:"), "{printed}");
    assert!(printed.contains("%again = Const() {value = @a} : f32[17, 2]"), "{printed}");
}
