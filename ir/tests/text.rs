//! The written form: what is read, what is printed, and what is refused.
mod toys;

use std::collections::BTreeMap;
use std::sync::Arc;
use toys::{module, ops};
use weft_ir::text::{NoWeights, Style, Weights, print, print_node, weights, weights_by_digest};
use weft_ir::{Module, Tensor};

/// The text printed for a text, read again and printed again.
fn round(text: &str) -> String {
    toys::round(&module(text))
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

#[test]
fn every_element_type_keeps_its_bits() {
    let text = r#"weft 1 imported
graph @""() -> () {
    %a = Const() {value = f32[6]{0.1, 1e-45, nan, 0x7fc00001, inf, -inf}} : f32[6]
    %b = Const() {value = f64[3]{1e300, -0.0, 0xfff8000000000000}} : f64[3]
    %c = Const() {value = f16[4]{0.1, 65500.0, 6e-8, nan}} : f16[4]
    %d = Const() {value = bf16[4]{0.1, 3e38, -inf, 0xffc0}} : bf16[4]
    %e = Const() {value = i4[3]{-8, 7, -1}} : i4[3]
    %f = Const() {value = u2[5]{0, 1, 2, 3, 3}} : u2[5]
    %g = Const() {value = u64[]{18446744073709551615}} : u64[]
    %h = Const() {value = i64[]{-9223372036854775808}} : i64[]
    %i = Const() {value = bool[2]{true, false}} : bool[2]
    %j = Const() {value = string[2]{"a\u{0}\"b", ""}} : string[2]
    %k = Const() {value = f8e4m3fn[2]{0x3f, 0xff}} : f8e4m3fn[2]
    %l = Const() {value = f4e2m1[3]{0x1, 0xf, 0x0}} : f4e2m1[3]
    %m = Const() {value = f32[0, 4]{}} : f32[0, 4]
    return
}
"#;
    assert_eq!(round(text), text);
}

#[test]
fn attributes_are_sorted_and_defaults_left_out() {
    let text = r#"weft 1 imported graph @main(%x: f32[N]) -> () {
        toy.All(_, %x, _) {to = f16, str = "NOTSET", ints = [1, 1], int = 3, floats = [1, -0, 0.30000001],
            float = 0.5, "odd name" = 4, dims = [(H-1)/2+1, ?], strs = ["", "a"]}
        %a, %b = toy.All() {float = 1, to = f32} : f32[N], f32[*]
        return
    }"#;
    let expected = r#"weft 1 imported
graph @main(%x: f32[N]) -> () {
    toy.All(_, %x) {dims = [(H+1)/2, ?], floats = [1.0, -0.0, 0.3], "odd name" = 4, strs = ["", "a"], to = f16}
    %a, %b = toy.All() {float = 1.0} : f32[N], f32[*]
    return
}
"#;
    assert_eq!(round(text), expected);
}

#[test]
fn attributes_beside_their_default_are_kept() {
    for attr in ["int = 2", "int = 4", "int = -3", "float = 0.25", "float = -0.5", "ints = [1]", "str = \"\""]
    {
        let text =
            format!("weft 1 imported\ngraph @main() -> () {{\n    toy.All() {{{attr}}}\n    return\n}}\n");
        assert_eq!(round(&text), text);
    }
}

#[test]
fn regions_are_indented() {
    let text = "weft 1 canonical
graph @main(%c: bool[], %x: f32[N]) -> (f32[N]) {
    %y = toy.If(%c, %x) : f32[N]
        region @then(%a: f32[N]) -> (f32[N]) {
            %x = Relu(%a) : f32[N]
            return %x
        }
        region(%a: f32[N]) -> (f32[N]) {
            return %a as \"b\"
        }
    %z = Relu(%y) : f32[N]
    return %z
}
";
    assert_eq!(round(text), text);
}

#[test]
fn unnamed_weights_are_for_looking_at() {
    let module = module(
        "weft 1 imported weight @w : i8[20] = seeded(1) graph @main() -> () {
            %w = Const() {value = @w} : i8[20] toy.All() {tensor = @w} return }",
    );
    let text = print(&module, &ops(), Style { weights: Weights::Unnamed });
    assert!(text.contains("weight @w : i8[20] = unnamed\n"), "{text}");
    let error = Module::parse(&text, &ops(), &NoWeights).unwrap_err();
    assert_eq!(error.to_string(), "2:22: the digest of weight `@w` was left out when this was printed");
    let order = module.graph.order();
    assert_eq!(print_node(&module.graph, order[0], &ops()), "%w = Const() {value = i8[20]} : i8[20]");
}

#[test]
fn seeded_weights_never_change() {
    let module = module(
        "weft 1 imported
        weight @f : f32[20] = seeded(7)
        weight @g : f64[20] = seeded(7, 1, 2.0)
        weight @i : i8[20] = seeded(7)
        weight @u : u2[20] = seeded(7)
        weight @b : bool[20] = seeded(7)
        graph @main() -> () {
            toy.All() {tensor = @f} toy.All() {tensor = @g} toy.All() {tensor = @i}
            toy.All() {tensor = @u} toy.All() {tensor = @b} return
        }",
    );
    let heads: String = weights(&module)
        .iter()
        .map(|(name, t)| (name.clone(), t.to_f64s().unwrap().into_iter().take(3).collect::<Vec<_>>()))
        .map(|(name, t)| format!("{name} {t:?}\n"))
        .collect();
    assert_eq!(heads, SEEDED);
}

const SEEDED: &str = "\
.tensor [-0.11017025262117386, -0.4832116961479187, 0.400760680437088]
.tensor~1 [1.3898297483912714, 1.0167882945281561, 1.9007606806068833]
.tensor~2 [-1.0, -4.0, 4.0]
.tensor~3 [1.0, 0.0, 3.0]
.tensor~4 [1.0, 1.0, 0.0]
";

#[test]
fn weights_come_from_the_source() {
    let read = |ty: &str| {
        let tensor = Arc::new(Tensor::vector(&[0.5f32; 20]));
        let digest: String = tensor.digest().iter().map(|b| format!("{b:02x}")).collect();
        let source = BTreeMap::from([(*tensor.digest(), tensor)]);
        let text = format!(
            "weft 1 imported\nweight @w : {ty} = blake3:{digest}\n\
             graph @main() -> () {{ toy.All() {{tensor = @w}} return }}"
        );
        let module = Module::parse(&text, &ops(), &source).map_err(|e| e.to_string())?;
        assert_eq!(weights_by_digest(&module).len(), 1);
        Ok::<_, String>(toys::round(&module))
    };
    assert!(read("f32[20]").is_ok());
    assert_eq!(
        read("f32[4, 5]").unwrap_err(),
        "2:25: weight `@w` is f32[4, 5] here, but f32[20] in its file"
    );
}

#[test]
fn refusals_say_where_and_what() {
    for (body, message) in REFUSALS {
        let text = format!("weft 1 imported\ngraph @main(%x: f32[N]) -> (f32[N]) {{\n{body}\nreturn %x }}");
        let found = Module::parse(&text, &ops(), &NoWeights).unwrap_err().to_string();
        assert_eq!(found, *message, "{body}");
    }
}

const REFUSALS: &[(&str, &str)] = &[
    ("%y = Frob(%x) : f32[N]", "3:6: no operator is called `Frob`"),
    ("%y = Relu(%z) : f32[N]", "3:11: `%z` is not defined above"),
    ("%x = Relu(%x) : f32[N]", "3:1: `%x` is defined twice"),
    ("%y, %y = toy.Split(%x) : f32[N], f32[N]", "3:5: `%y` is defined twice"),
    ("%y, %z = Relu(%x) : f32[N], f32[N]", "3:10: `Relu` has 1 result, found 2"),
    ("%y = Relu(%x)", "4:1: expected `:`, found `return`"),
    ("%y = Relu(%x) : f33[N]", "3:17: expected an element type, found `f33`"),
    ("%y = Relu(%x) {alpha = 1} : f32[N]", "3:16: attribute `alpha` of `Relu` is not known"),
    ("toy.All() {int = 1, int = 1}", "3:21: attribute `int` of `toy.All` is there twice"),
    ("toy.All() {int = 1.5}", "3:18: attribute `int` of `toy.All`: expected an integer, found `1.5`"),
    ("toy.All() {int = [1]}", "3:18: attribute `int` of `toy.All`: expected an integer, found `[`"),
    (
        "toy.All() {int = 9223372036854775808}",
        "3:18: attribute `int` of `toy.All`: expected an integer from -9223372036854775808 to \
         9223372036854775807, found 9223372036854775808",
    ),
    ("toy.All() {ints = 1}", "3:19: attribute `ints` of `toy.All`: expected a list, found `1`"),
    ("toy.All() {str = same}", "3:18: attribute `str` of `toy.All`: expected a text in quotes, found `same`"),
    (
        "toy.All() {float = 1e99}",
        "3:20: attribute `float` of `toy.All`: expected a number of type f32, found `1e99`",
    ),
    (
        "toy.All() {tensor = f32[3]{1, 2}}",
        "3:21: attribute `tensor` of `toy.All`: a tensor of shape [3] has 3 elements, found 2",
    ),
    (
        "toy.All() {tensor = u4[1]{16}}",
        "3:27: attribute `tensor` of `toy.All`: expected an integer from 0 to 15, found 16",
    ),
    ("toy.All() {tensor = @w}", "3:21: attribute `tensor` of `toy.All`: no weight is called `@w`"),
    ("%y = Relu(%x %x) : f32[N]", "3:14: expected `,` or `)`, found `%x`"),
    ("return %x as x }", "3:14: expected the name of the output in quotes, found `x`"),
    ("return }", "3:1: the graph has 1 outputs, 0 are returned"),
    ("%y = Relu(%x) : f32[M] return %y }", "3:31: the output is of type f32[M], expected f32[N]"),
    ("return %x } }", "3:13: expected the end, found `}`"),
    ("}", "3:1: expected a node or `return`, found `}`"),
    ("%\"abc", "3:2: the closing quote is missing"),
    ("%\"a\\q\"", "3:4: this escape is not known"),
    ("# no", "3:1: character '#' has no meaning here"),
    ("% y", "3:1: expected a name behind `%`"),
];

#[test]
fn heads_are_checked() {
    for (text, message) in [
        ("", "1:1: expected `weft`, found the end"),
        ("weft 2 canonical", "1:6: expected version `1` of the written form, found `2`"),
        ("weft 1 raw", "1:8: expected `imported`, `canonical` or `lowered`, found `raw`"),
        ("weft 1 imported\n// é\nmeta", "3:5: expected a text in quotes, found the end"),
        ("weft 1 imported meta \"a\" = \"\" meta \"a\" = \"\"", "1:36: metadata \"a\" is there twice"),
        (
            "weft 1 imported weight @w : f32[N] = zeros",
            "1:38: a weight needs numbers as extents, found f32[N]",
        ),
        (
            "weft 1 imported weight @w : f32[999999999] = zeros",
            "1:46: a weight made up by the text may take 1073741824 bytes, found f32[999999999]",
        ),
        ("weft 1 imported weight @w : string[2] = zeros", "1:41: a weight of type string cannot be made up"),
        ("weft 1 imported weight @w : f32[2] = blake3:12", "1:45: expected 64 hex digits, found `12`"),
        (
            "weft 1 imported weight @w : f32[2] = file",
            "1:38: expected `blake3:`, `seeded(` or `zeros`, found `file`",
        ),
        ("weft 1 imported function", "1:17: expected `meta`, `weight` or `graph`, found `function`"),
    ] {
        assert_eq!(Module::parse(text, &ops(), &NoWeights).unwrap_err().to_string(), message);
    }
}

#[test]
fn depth_is_bounded_and_length_is_not() {
    let nested = "%y = toy.If(%x) : f32[N] region(%x: f32[N]) -> (f32[N]) {".repeat(10_000);
    let text = format!("weft 1 imported graph @main(%x: f32[N]) -> (f32[N]) {{{nested}");
    let error = Module::parse(&text, &ops(), &NoWeights).unwrap_err();
    assert!(error.message.contains("regions nest deeper than 64"), "{error}");

    let chain: String = (1..20_000).map(|i| format!("%v{i} = Relu(%v{}) : f32[N]\n", i - 1)).collect();
    round(&format!("weft 1 imported graph @main(%v0: f32[N]) -> (f32[N]) {{ {chain} return %v19999 }}"));
}
