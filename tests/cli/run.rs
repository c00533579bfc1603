//! `weft run` and `weft bench`: inputs from every kind of file, outputs to files.
use crate::weft::Folder;
use std::collections::BTreeMap;
use std::io::Write;
use weft::tensors::{TensorForm, read_tensor, tensor_bytes};
use weft_ir::Tensor;

fn input() -> Tensor {
    let elements: Vec<f32> = (0..16u8).map(|i| f32::from(i) / 8.0 - 1.0).collect();
    Tensor::from_slice(&[2, 8], &elements).unwrap()
}

#[test]
fn inputs_come_from_every_kind_of_file() {
    let folder = Folder::linear();
    let (npy, pb) = (bytes(TensorForm::Npy), bytes(TensorForm::Pb));
    folder.write("x.npy", &npy);
    folder.write("x.pb", &pb);
    folder.write("named/x.npy", &npy);
    folder.write("numbered/input_0.pb", &pb);
    folder.write("set.npz", &archive(&npy));
    folder.write("set.safetensors", &safetensors());
    let expected = folder.weft("run linear.weft --backend interp -q --input x=x.npy").done();
    assert!(expected.starts_with("y: f32[2, 5]  min "), "{expected}");
    for given in [
        "--input x=x.pb",
        "--inputs named",
        "--inputs numbered",
        "--inputs set.npz",
        "--inputs set.safetensors",
    ] {
        assert_eq!(
            folder.weft(&format!("run linear.weft --backend interp -q {given}")).done(),
            expected,
            "{given}"
        );
    }
}

#[test]
fn outputs_are_written_in_the_form_of_the_inputs() {
    let folder = Folder::linear();
    folder.write("x.npy", &bytes(TensorForm::Npy));
    folder.write("x.pb", &bytes(TensorForm::Pb));
    let run = |rest: &str| folder.weft(&format!("run linear.weft -q {rest}")).done();
    assert_eq!(run("--input x=x.npy --output-dir a/b"), "");
    run("--input x=x.pb --output-dir c");
    run("--input x=x.npy --output-dir d --backend interp");
    let [a, c, d] =
        ["a/b/y.npy", "c/output_0.pb", "d/y.npy"].map(|file| read_tensor(&folder.path(file)).unwrap());
    assert_eq!(a, c);
    let near = weft::Tolerance { rtol: 1e-5, atol: 1e-6 };
    near.compare(&d, &a).unwrap();
    assert!(a.to_f64s().unwrap().iter().any(|value| *value > 0.0));
}

#[test]
fn names_of_outputs_become_names_of_files() {
    let folder = Folder::empty();
    let model = "weft 1 canonical
graph @main(%x: f32[2]) -> (f32[2], f32[2]) {
    %a = Relu(%x) : f32[2]
    %b = Neg(%x) : f32[2]
    return %a as \"out/1\", %b as \"out:1\"
}
";
    folder.write("m.weft", model.as_bytes());
    folder.weft("run m.weft --random 1 --output-dir out -q --backend interp").done();
    assert!(folder.path("out/out_1.npy").is_file() && folder.path("out/out_1~1.npy").is_file());
}

#[test]
fn kernels_are_measured() {
    let folder = Folder::linear();
    folder.weft("run linear.weft --random 1 --profile p.json -q").done();
    let profile: serde_json::Value = serde_json::from_slice(&folder.read("p.json")).unwrap();
    assert!(profile["kernels"][0]["schedule"].is_string(), "{profile}");
    let measured = folder.weft("bench linear.weft --random 1 --seconds 0.05 --threads 1 --json -q").json();
    let keys = [
        "median_ms",
        "min_ms",
        "p90_ms",
        "runs",
        "threads",
        "first_ms",
        "load_ms",
        "peak_rss_mb",
        "artifact_bytes",
    ];
    for key in keys {
        assert!(measured[key].as_f64().is_some_and(|value| value > 0.0), "{key}: {measured}");
    }
    let kernel = &measured["kernels"][0];
    assert!(kernel["share"].as_f64().is_some_and(|share| share > 0.0 && share <= 1.0), "{kernel}");
    assert!(kernel["name"].is_string() && kernel["schedule"].is_string() && kernel["time_ms"].is_number());
}

#[test]
fn outputs_are_fed_back() {
    let folder = Folder::empty();
    let model = "weft 1 canonical
graph @main(%s: f32[N, 2], %x: f32[1, 2]) -> (f32[N+1, 2]) {
    %t = Concat(%s, %x) {axis = 0} : f32[N+1, 2]
    return %t
}
";
    folder.write("grow.weft", model.as_bytes());
    let bench = "bench grow.weft --random 1 --seconds 0.02 --threads 1 --json -q";
    let measured = folder.weft(&format!("{bench} --feed t=s --steps 8")).json();
    assert!(measured["steps_per_second"].as_f64().is_some_and(|steps| steps > 0.0), "{measured}");
    folder.weft(&format!("{bench} --feed t=q")).refused(2, &["`q`"]);
}

fn bytes(form: TensorForm) -> Vec<u8> {
    tensor_bytes("x", &input(), form).unwrap()
}

fn archive(npy: &[u8]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive.start_file("x.npy", zip::write::SimpleFileOptions::default()).unwrap();
    archive.write_all(npy).unwrap();
    archive.finish().unwrap().into_inner()
}

fn safetensors() -> Vec<u8> {
    let tensor = input();
    let view =
        safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![2, 8], tensor.data()).unwrap();
    safetensors::serialize(BTreeMap::from([("x", view)]), None).unwrap()
}
