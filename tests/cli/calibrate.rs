//! `--calibrate`, `--max-error` and the ledger.
use crate::weft::Folder;
use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Two layers, and data for them: three inputs of four rows.
fn folder() -> Folder {
    let folder = Folder::empty();
    folder.write("net.weft", NET.as_bytes());
    for sample in 0..3u8 {
        let rows: Vec<f32> =
            (0..32u8).map(|i| f32::from(i.wrapping_mul(37 + sample) % 64) / 16.0 - 2.0).collect();
        folder.write(&format!("data/{sample}/x.npy"), &npy("<f4", &[4, 8], &bytes(&rows)));
    }
    folder
}

const NET: &str = "weft 1 canonical
weight @w : f32[8, 8] = seeded(1)
weight @u : f32[8, 5] = seeded(2)
graph @main(%x: f32[N, 8]) -> (f32[N, 5]) {
    %w = Const() {value = @w} : f32[8, 8]
    %u = Const() {value = @u} : f32[8, 5]
    %h = MatMul(%x, %w) : f32[N, 8]
    %r = Relu(%h) : f32[N, 8]
    %y = MatMul(%r, %u) : f32[N, 5]
    return %y
}
";

pub(crate) fn bytes(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|x| x.to_le_bytes()).collect()
}

pub(crate) fn npy(dtype: &str, dims: &[usize], data: &[u8]) -> Vec<u8> {
    let dims: String = dims.iter().map(|d| format!("{d},")).collect();
    let mut head = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({dims}), }}");
    while (head.len() + 11) % 64 != 0 {
        head.push(' ');
    }
    head.push('\n');
    [b"\x93NUMPY\x01\x00".as_slice(), &(head.len() as u16).to_le_bytes(), head.as_bytes(), data].concat()
}

const ALL: &str = "quantize-weights{bits=3,group=4,dim=ada,method=gptq,outputs=true}";

#[test]
fn what_was_found_out_is_kept_and_changes_nothing() {
    let folder = folder();
    let run = |bits: usize, cache: &str| {
        let pass = format!("quantize-weights{{bits={bits},group=4,dim=ada,method=gptq,outputs=true}}");
        let passes = format!("--pipeline sparsify-activations{{outputs=true}},{pass}");
        folder
            .weft(&format!(
                "opt net.weft {passes} --calibrate data --cache {cache} --ledger l.json -o q.weft"
            ))
            .done();
        [folder.read("q.weft"), folder.read("q.weights.safetensors"), folder.read("l.json")]
    };
    let [three, four] = [3, 4].map(|bits| run(bits, "none"));
    assert!(!folder.files().contains(&"none".to_string()));
    assert_eq!(run(3, "kept"), three);
    let kept = || -> Vec<_> {
        let files = std::fs::read_dir(folder.path("kept")).unwrap();
        files.map(|file| file.unwrap().path()).collect()
    };
    let (before, long_ago) = (kept(), SystemTime::now() - Duration::from_secs(3600));
    assert!(!before.is_empty());
    for file in &before {
        File::options().append(true).open(file).unwrap().set_modified(long_ago).unwrap();
    }
    assert_eq!(run(3, "kept"), three);
    assert_eq!(kept().len(), before.len());
    let used =
        |file: &&PathBuf| file.metadata().unwrap().modified().unwrap() > long_ago + Duration::from_secs(60);
    // With the codes of both layers there is no need for the second moments of their inputs.
    assert_eq!(before.iter().filter(used).count(), before.len() - 2);
    // Another rounding asks some of the same questions.
    assert_eq!(run(4, "kept"), four);
}

#[test]
fn the_ledger_of_all_layers() {
    let folder = folder();
    let run = format!("opt net.weft --pipeline {ALL} --calibrate data --ledger l.json --json -o q.weft");
    let made = folder.weft(&run);
    assert!(
        made.err.contains(
            "quantize-weights: 2 layers changed, 0 left exact; errors of outputs on data: 3 inputs"
        )
    );
    assert!(made.err.contains("the whole model"), "{}", made.err);
    let written: serde_json::Value = serde_json::from_slice(&folder.read("l.json")).unwrap();
    assert_eq!(made.json()["ledger"], written);
    let [one] = written.as_array().unwrap().as_slice() else { panic!("{written}") };
    assert_eq!((&one["layers"][0]["layer"], &one["layers"][1]["layer"]), (&"h".into(), &"y".into()));
    for error in [&one["layers"][0]["error"], &one["layers"][1]["error"], &one["model"]["outputs"]] {
        let mse = error["relative_mse"].as_f64().unwrap();
        assert!(mse > 1e-5 && mse < 0.1, "{written}");
    }
    let page = folder.weft(&format!("inspect net.weft --html --pipeline {ALL} --calibrate data")).done();
    assert!(page.contains("ledger of quantize-weights") && page.contains("The whole model: relative mse"));
}

#[test]
fn another_number_of_results_is_no_small_error() {
    let folder = folder();
    let found = NET
        .replace("-> (f32[N, 5])", "-> (f32[2, K])")
        .replace("    return %y\n", "    %z = Const() {value = f32[1]{0.0}} : f32[1]\n    %g = Greater(%y, %z) : bool[N, 5]\n    %n = NonZero(%g) : i64[2, K]\n    %f = Cast(%n) {to = f32} : f32[2, K]\n    return %f\n");
    folder.write("found.weft", found.as_bytes());
    let run = "opt found.weft --calibrate data --pipeline quantize-weights{bits=2,group=0} --ledger l.json -o q.weft";
    let ledger = |bound: &str| -> serde_json::Value {
        folder.weft(&format!("{run} {bound}")).done();
        serde_json::from_slice(&folder.read("l.json")).unwrap()
    };
    assert!(ledger("")[0]["model"]["outputs"]["relative_mse"].is_null());
    let bounded = ledger("--max-error mse:0.1");
    assert!(bounded[0]["model"]["outputs"]["relative_mse"].as_f64().unwrap() <= 0.1);
    assert!(bounded[0]["layers"].as_array().unwrap().iter().any(|line| line["backed_off"] == true));
}

#[test]
fn the_worst_layers_are_left_exact() {
    let folder = folder();
    let ledger = |bound: &str| {
        let run =
            format!("opt net.weft --pipeline {ALL} --calibrate data --max-error {bound} --json -o q.weft");
        let ledger = folder.weft(&run).json()["ledger"][0].clone();
        let back =
            ledger["layers"].as_array().unwrap().iter().filter(|line| line["backed_off"] == true).count();
        (back, ledger["model"]["outputs"]["relative_mse"].as_f64().unwrap(), ledger)
    };
    let (none, all, _) = ledger("mse:1");
    assert_eq!(none, 0);
    let (one, less, lines) = ledger(&format!("mse:{}", all * 0.99));
    assert!(one == 1 && less < all && less > 0.0, "{lines}");
    let error = |at: usize| lines["layers"][at]["error"]["relative_mse"].as_f64().unwrap();
    let worst = usize::from(error(1) > error(0));
    assert_eq!(lines["layers"][worst]["backed_off"], true, "{lines}");
    assert_eq!((ledger("mse:0").0, ledger("mse:0").1), (2, 0.0));
}

#[test]
fn errors_are_of_validation_data() {
    let folder = folder();
    for (name, factor) in [("more", 53u8), ("others", 41)] {
        let rows: Vec<f32> = (0..32u8).map(|i| f32::from(i.wrapping_mul(factor) % 64) / 16.0 - 2.0).collect();
        folder.write(&format!("{name}/0/x.npy"), &npy("<f4", &[4, 8], &bytes(&rows)));
    }
    let pass = "quantize-weights{bits=3,group=4,method=gptq,outputs=true}";
    let run = |rest: &str| {
        let made = folder.weft(&format!("opt net.weft --pipeline {pass} --ledger l.json -o q.weft {rest}"));
        let ledger: serde_json::Value = serde_json::from_slice(&folder.read("l.json")).unwrap();
        let off = ledger[0]["model"]["outputs"]["relative_mse"].as_f64().unwrap();
        (folder.read("q.weights.safetensors"), off, made.err)
    };
    let fitted = run("--calibrate data --cache none");
    let judged = run("--calibrate data --validate more --cache kept");
    assert!(
        judged.2.contains("errors of outputs on more: 1 input, fitted to data: 3 inputs"),
        "{}",
        judged.2
    );
    assert_eq!(judged.0, fitted.0);
    assert!(judged.1 > fitted.1, "{} and {}", judged.1, fitted.1);
    let itself = run("--calibrate data --validate data --cache none");
    assert_eq!((&itself.0, itself.1), (&fitted.0, fitted.1));
    // What was kept of other codes on the same data is not taken.
    let other = run("--calibrate others --validate more --cache none");
    assert!(other.0 != judged.0 && other.1 != judged.1);
    let kept = run("--calibrate others --validate more --cache kept");
    assert_eq!((kept.0, kept.1), (other.0, other.1));
    let bound = (fitted.1 + judged.1) / 2.0;
    let bounded = |rest: &str| run(&format!("--calibrate data --cache none --max-error mse:{bound} {rest}"));
    assert_eq!(bounded("").0, fitted.0);
    let less = bounded("--validate more");
    assert!(less.0 != fitted.0 && less.1 <= bound, "{} of {bound}", less.1);
    folder.weft(&format!("opt net.weft --pipeline {pass} --validate data")).refused(2, &["--calibrate"]);
}

#[test]
fn samples_and_token_ids() {
    let folder = folder();
    folder.write("gather.weft", TEXT.as_bytes());
    let ids: Vec<u8> = (0..30i64).flat_map(|i| (i * 7 % 6).to_le_bytes()).collect();
    folder.write("ids.npy", &npy("<i8", &[30], &ids));
    folder.write("ids.txt", b"0 1, 2\n3 4 5");
    let run = |data: &str| {
        format!("opt gather.weft --pipeline quantize-weights{{group=4}} --calibrate {data} -o q.weft")
    };
    for data in ["ids.npy", "ids.txt"] {
        let said = folder.weft(&run(data)).err;
        assert!(said.contains("1 input of text") && said.contains("perplexity"), "{said}");
    }
    folder.write("words.txt", b"0 one");
    folder.weft(&run("words.txt")).refused(1, &["`one` is no token id"]);
    folder.weft(&run("data")).refused(2, &["input_ids"]);
}

const TEXT: &str = "weft 1 canonical
weight @e : f32[6, 4] = seeded(3)
weight @w : f32[4, 4] = seeded(1)
weight @u : f32[4, 6] = seeded(2)
graph @main(%input_ids: i64[B, T], %attention_mask: i64[B, T]) -> (f32[B, T, 6]) {
    %e = Const() {value = @e} : f32[6, 4]
    %w = Const() {value = @w} : f32[4, 4]
    %u = Const() {value = @u} : f32[4, 6]
    %x = Gather(%e, %input_ids) : f32[B, T, 4]
    %m = Cast(%attention_mask) {to = f32} : f32[B, T]
    %last = Const() {value = i64[1]{-1}} : i64[1]
    %n = Unsqueeze(%m, %last) : f32[B, T, 1]
    %z = Mul(%x, %n) : f32[B, T, 4]
    %h = MatMul(%z, %w) : f32[B, T, 4]
    %r = Relu(%h) : f32[B, T, 4]
    %logits = MatMul(%r, %u) : f32[B, T, 6]
    return %logits
}
";

#[test]
fn what_is_missing_is_said() {
    let folder = folder();
    let ada = "opt net.weft --pipeline quantize-weights{dim=ada} -o q.weft";
    folder.weft(ada).refused(1, &["`dim=ada` needs calibration data: give `--calibrate DATA`"]);
    let gptq = "opt net.weft --pipeline quantize-weights{method=gptq} -o q.weft";
    folder.weft(gptq).refused(1, &["`method=gptq` needs calibration data"]);
    folder.weft(&format!("{ada} --max-error mse:1")).refused(2, &["--calibrate"]);
    folder
        .weft(&format!("{ada} --calibrate data --max-error acc:1"))
        .refused(2, &["expected `mse:X`, `kl:X` or `ppl:X`"]);
    folder.weft(&format!("{ada} --calibrate nowhere.npz")).refused(1, &["nowhere.npz"]);
    let kl = format!("opt net.weft --pipeline {ALL} --calibrate data --max-error kl:1 -o q.weft");
    let kl = folder.weft(&kl);
    assert!(!kl.err.contains("holds the module"), "it is no fault of a pass: {}", kl.err);
    kl.refused(1, &["the bound `kl:1` is about a text"]);
    folder.weft("opt net.weft --pipeline quantize-weights{bits=9}").refused(2, &["expected 2 to 8"]);
}
