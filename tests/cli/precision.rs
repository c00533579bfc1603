//! `--precision`: large weights at half the size.
use crate::calibrate::npy;
use crate::weft::Folder;
use serde_json::Value;
use weft::tensors::read_tensor;

/// An embedding and two layers, with 3.5 MiB of weights.
const NET: &str = "weft 1 canonical
weight @t : f32[512, 256] = seeded(1)
weight @w : f32[256, 1024] = seeded(2)
weight @u : f32[1024, 512] = seeded(3)
graph @main(%ids: i64[B, T]) -> (f32[B, T, 512]) {
    %t = Const() {value = @t} : f32[512, 256]
    %w = Const() {value = @w} : f32[256, 1024]
    %u = Const() {value = @u} : f32[1024, 512]
    %x = Gather(%t, %ids) : f32[B, T, 256]
    %h = MatMul(%x, %w) : f32[B, T, 1024]
    %r = Relu(%h) : f32[B, T, 1024]
    %y = MatMul(%r, %u) : f32[B, T, 512]
    return %y
}
";
/// What half of the weights take, in bytes.
const HALF: u64 = 2 * (512 * 256 + 256 * 1024 + 1024 * 512);

fn folder() -> Folder {
    let folder = Folder::empty();
    folder.write("net.weft", NET.as_bytes());
    let ids: Vec<u8> = (0..5i64).flat_map(|i| (i * 97 % 512).to_le_bytes()).collect();
    folder.write("data/0/ids.npy", &npy("<i8", &[1, 5], &ids));
    folder
}

/// Compiles to a library, and runs it: its size, the ledger, what it computes.
fn compiled(folder: &Folder, precision: &str) -> (u64, Value, Vec<f32>) {
    let made = folder.weft(&format!("compile net.weft --emit lib -o net.so --json {precision}")).json();
    folder.weft("run net.so --input ids=data/0/ids.npy --output-dir out").done();
    let numbers = read_tensor(&folder.path("out/y.npy")).unwrap().to_vec().unwrap();
    (made["bytes"].as_u64().unwrap(), made["ledger"].clone(), numbers)
}

/// The relative mean squared error.
fn apart(exact: &[f32], found: &[f32]) -> f64 {
    let square = |x: f32| f64::from(x) * f64::from(x);
    let off: f64 = exact.iter().zip(found).map(|(a, b)| square(a - b)).sum();
    off / exact.iter().map(|x| square(*x)).sum::<f64>()
}

#[test]
fn weights_take_half_the_size() {
    let folder = folder();
    let (size, ledger, exact) = compiled(&folder, "");
    assert_eq!(
        (ledger, compiled(&folder, "--precision f32")),
        (serde_json::json!([]), (size, serde_json::json!([]), exact.clone()))
    );
    for (precision, most) in [("bf16", 3e-5), ("f16", 5e-7)] {
        let (small, ledger, found) = compiled(&folder, &format!("--precision {precision}"));
        let saved = size - small;
        assert!(saved > HALF * 99 / 100 && saved < HALF * 101 / 100, "{precision}: {size} becomes {small}");
        let error = apart(&exact, &found);
        assert!(error > most / 100.0 && error < most, "{precision}: {error}");
        let [one] = ledger.as_array().unwrap().as_slice() else { panic!("{ledger}") };
        assert_eq!(one["pass"], "round-weights");
        let lines = one["layers"].as_array().unwrap();
        let names: Vec<&str> = lines.iter().map(|line| line["layer"].as_str().unwrap()).collect();
        assert_eq!(names, ["x", "h", "y"]);
        for line in lines {
            let mse = line["error"]["relative_mse"].as_f64().unwrap();
            assert!(line["what"] == precision && mse > 0.0 && mse < most, "{line}");
        }
    }
}

#[test]
fn a_bound_leaves_layers_as_they_are() {
    let folder = folder();
    let ledger = |bound: &str| {
        let run = format!(
            "compile net.weft --precision bf16 --calibrate data --max-error {bound} --emit weft -o q.weft --json"
        );
        let made = folder.weft(&run).json();
        let [one] = made["ledger"].as_array().unwrap().as_slice() else { panic!("{made}") };
        assert_eq!(one["pass"], "round-weights");
        let lines = one["layers"].as_array().unwrap();
        // Of what comes out of each layer on the data.
        for line in lines {
            let mse = line["error"]["relative_mse"].as_f64().unwrap();
            assert!(mse > 1e-7 && mse < 1e-5, "{line}");
        }
        let back = lines.iter().filter(|line| line["backed_off"] == true).count();
        (back, one["model"]["outputs"]["relative_mse"].as_f64().unwrap())
    };
    let (none, all) = ledger("mse:1");
    assert!(none == 0 && all > 0.0);
    let (some, less) = ledger(&format!("mse:{}", all * 0.9));
    assert!((1..3).contains(&some) && less > 0.0 && less <= all * 0.9, "{some}, {less} of {all}");
    assert_eq!(ledger("mse:0"), (3, 0.0));
}

#[test]
fn what_is_measured_is_compiled_as_it_says() {
    let folder = folder();
    let size = |rest: &str| {
        let bench = format!("bench net.weft --input ids=data/0/ids.npy --seconds 0.01 --json -q {rest}");
        folder.weft(&bench).json()["artifact_bytes"].as_u64().unwrap()
    };
    let saved = size("") - size("--precision bf16");
    assert!(saved > HALF * 99 / 100 && saved < HALF * 101 / 100, "{saved}");
    size("--pass quantize-weights{method=gptq} --calibrate data --validate data --cache own");
    assert!(folder.path("own").is_dir());
}

#[test]
fn it_comes_behind_all_that_is_named() {
    let folder = folder();
    let made = |rest: &str| {
        folder.weft(&format!("compile net.weft --precision f16 --emit weft -o q.weft --json {rest}")).json()
            ["ledger"]
            .clone()
    };
    for rest in ["--pass quantize-weights{outputs=true}", "--pipeline O1,quantize-weights{outputs=true}"] {
        let ledger = made(rest);
        assert_eq!(
            (&ledger[0]["pass"], &ledger[1]["pass"]),
            (&"quantize-weights".into(), &"round-weights".into())
        );
        // Codes are no matrices of `f32` any more.
        let lines = ledger[1]["layers"].as_array().unwrap();
        assert!(lines.len() == 1 && lines[0]["layer"] == "x", "{ledger}");
    }
    folder.weft("test net.weft --random 1 --precision bf16 --rtol 0.1 --atol 0.1").done();
}

#[test]
fn other_names_are_refused() {
    folder().weft("compile net.weft --precision int8").refused(2, &["int8", "f32, bf16, f16"]);
    let folder = folder();
    folder
        .weft("opt net.weft --pipeline round-weights{to=f8}")
        .refused(2, &["`f8`", "expected `bf16` or `f16`"]);
}
