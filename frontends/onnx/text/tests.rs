//! Texts that read back to themselves, and texts that are wrong.
use super::{parse, print};

const MODEL: &str = r#"<
   ir_version: 8,
   opset_import: ["" : 18, "com.microsoft" : 1],
   producer_name: "some \"body\"",
   domain: "org.example",
   model_version: 3,
   metadata_props: ["licence": "MIT"]
>
"main graph" (float[N,3,?,"2*N"] x, bool k, int64[] u) => (float[N] y)
   <float[2,3] "a w" = {1.5,-2e-9,nan,3.0,inf,-inf},
    int64[2] "/w.2" = {1,-2},
    string[2] s = {"x\"y", "b"},
    bool[2] b = {1,0},
    float16[2] h = {15360,16384},
    float big = ["location": "m.data", "offset": "0"]>
{
   ["n 1"] "c:1" = Conv <alpha: float = 0.5, pads: ints = [], st: strings = ["a", "b"], value: tensor = int64[2] {1,2}> (x, "a w", "", b)
   o = If <then_branch: graph = tb () => (float r)
   {
      r = Relu (x)
   }> (k)
   p, "" = com.microsoft.Gelu (o)
}
"#;

#[test]
fn a_text_reads_back_to_itself() {
    let expected = MODEL.replace("{\"x\\\"y\", \"b\"}", "{\"x\\\"y\",\"b\"}");
    let first = print(&parse(MODEL).unwrap_or_else(|error| panic!("{error}")));
    let second = print(&parse(&first).unwrap_or_else(|error| panic!("{error}\n{first}")));
    assert_eq!(first, second);
    let lines = |text: &str| text.lines().map(|line| line.trim().to_string()).collect::<Vec<_>>();
    let known = lines(&expected);
    for line in lines(&first) {
        assert!(known.contains(&line), "`{line}` is not in\n{expected}");
    }
}

#[test]
fn attributes_may_stand_behind_and_types_be_left_out() {
    let text = "<ir_version: 8, opset_import: [\"\": 18]> # a remark\n g (float x) => (float y) { y = Op(x) <a = 1, b = 1.5, c = [2], d = \"t\"> }";
    let printed = print(&parse(text).unwrap());
    assert!(
        printed.contains("y = Op <a: int = 1, b: float = 1.5, c: ints = [2], d: string = \"t\"> (x)"),
        "{printed}"
    );
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let wrong = |from: &str, to: &str| parse(&MODEL.replacen(from, to, 1)).unwrap_err().to_string();
    assert_eq!(wrong("ir_version", "ir_versions"), "line 2, column 16: a model has no `ir_versions`");
    assert!(
        wrong("float[N,3", "flot[N,3")
            .contains("line 9, column 15: expected an element type, found `flot[N,3")
    );
    assert!(wrong("\n}\n", "\n").ends_with("expected a word, found the end"));
    assert!(wrong("pads: ints = []", "pads = []").contains("an empty list needs a type"));
    assert!(wrong("{1,-2}", "{1,x}").contains("expected a number of the tensor's type"));
    assert!(wrong("alpha: float = 0.5", "alpha: int = 0.5").contains("of another type"));
    let deep = "g () => (float y) { y = If (k) <t = ".repeat(5000);
    assert!(parse(&format!("<ir_version: 8> {deep}")).unwrap_err().message.contains("64 deep"));
    assert!(parse("\"").is_err() && parse("").is_err() && parse("<").is_err());
}
