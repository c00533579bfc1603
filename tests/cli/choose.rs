//! The pass that a bound alone asks for.
use crate::calibrate::{bytes, npy};
use crate::weft::Folder;
use serde_json::Value;

/// Three layers of which the last matters most, and four inputs for them.
const NET: &str = "weft 1 canonical
weight @a : f32[64, 96] = seeded(1)
weight @b : f32[96, 64] = seeded(2)
weight @c : f32[64, 32] = seeded(3)
graph @main(%x: f32[N, 64]) -> (f32[N, 32]) {
    %a = Const() {value = @a} : f32[64, 96]
    %b = Const() {value = @b} : f32[96, 64]
    %c = Const() {value = @c} : f32[64, 32]
    %h = MatMul(%x, %a) : f32[N, 96]
    %r = Relu(%h) : f32[N, 96]
    %g = MatMul(%r, %b) : f32[N, 64]
    %s = Relu(%g) : f32[N, 64]
    %y = MatMul(%s, %c) : f32[N, 32]
    return %y
}
";

fn folder() -> Folder {
    let folder = Folder::empty();
    folder.write("net.weft", NET.as_bytes());
    for sample in 0..4u32 {
        let rows: Vec<f32> = (0..512).map(|i| ((i * 37 + sample * 11) % 64) as f32 / 16.0 - 2.0).collect();
        folder.write(&format!("data/{sample}/x.npy"), &npy("<f4", &[8, 64], &bytes(&rows)));
    }
    folder
}

fn ledger(folder: &Folder, rest: &str) -> Value {
    folder.weft(&format!("compile net.weft --calibrate data --emit weft -o q.weft --json {rest}")).json()["ledger"][0]
        .clone()
}

fn whats(ledger: &Value) -> Vec<&str> {
    ledger["layers"].as_array().unwrap().iter().map(|line| line["what"].as_str().unwrap()).collect()
}

fn picoseconds(ledger: &Value) -> u64 {
    ledger["layers"].as_array().unwrap().iter().map(|line| line["picoseconds"].as_u64().unwrap()).sum()
}

#[test]
fn a_bound_alone_chooses() {
    let folder = folder();
    let mut last = None;
    for bound in [0.0, 1e-5, 1e-3, 5e-3, 0.02, 0.9] {
        let ledger = ledger(&folder, &format!("--max-error mse:{bound}"));
        assert_eq!(ledger["pass"], "choose");
        assert!(ledger["model"]["outputs"]["relative_mse"].as_f64().unwrap() <= bound, "{ledger}");
        // No choice that was tried and holds is faster, uniform ones among them.
        let tried = ledger["tried"].as_array().unwrap();
        let good = tried.iter().filter(|trial| trial["within"] == true);
        let least = good.map(|trial| trial["picoseconds"].as_u64().unwrap()).min();
        assert!(least.is_none_or(|least| picoseconds(&ledger) <= least + least / 50), "{ledger}");
        assert!(tried.iter().any(|trial| trial["what"] == "int4-ic in every layer"), "{ledger}");
        let time = picoseconds(&ledger);
        assert!(last.is_none_or(|last| time <= last + last / 50), "a wider bound is not slower: {ledger}");
        last = Some(time);
        if bound == 0.0 {
            assert_eq!(ledger["model"]["outputs"]["relative_mse"], 0.0);
        }
    }
    // Caches hold a matrix as small as the first: codes of 8 bits take longer to unpack than those of 4 without an
    // instruction for bytes, and no longer with it.
    for (cpu, fastest) in [("x86-64-v3", "int4-oc"), ("znver4", "int8")] {
        let loose = "--max-error mse:0.9 --pass choose{menu=int8|int4-oc,sparsity=0}";
        assert_eq!(whats(&ledger(&folder, &format!("{loose} --cpu {cpu}")))[0], fastest, "{cpu}");
    }
    let tight = ledger(&folder, "--max-error mse:0 --pass choose{sparsity=0}");
    assert_eq!(whats(&tight), ["f32"; 3]);
}

#[test]
fn the_page_shows_what_was_tried() {
    let folder = folder();
    let page =
        folder.weft("inspect net.weft --html --pipeline choose{budget=mse:8e-5} --calibrate data").done();
    let rows: Vec<&str> = page.lines().filter(|line| line.contains(" in every layer")).collect();
    assert!(rows.len() >= 3, "{rows:?}");
    assert!(rows.iter().any(|row| row.contains("int4-ic in every layer, out of the bound")), "{rows:?}");
    assert!(rows.iter().any(|row| row.contains("<td>int8 in every layer</td>")), "{rows:?}");
}

#[test]
fn what_is_named_is_run_and_nothing_else() {
    let folder = folder();
    let ledger = ledger(&folder, "--max-error mse:0.9 --pass quantize-weights");
    assert_eq!(ledger["pass"], "quantize-weights");
}

#[test]
fn both_bounds_hold() {
    let folder = folder();
    let found = ledger(&folder, "--max-error mse:0.9 --pass choose{budget=\"mse:1e-5\"}");
    assert!(found["model"]["outputs"]["relative_mse"].as_f64().unwrap() <= 1e-5, "{found}");
}

#[test]
fn what_is_missing_or_wrong_is_said() {
    let folder = folder();
    let opt = |options: &str| format!("opt net.weft --pipeline choose{options} -o q.weft");
    folder.weft(&opt("{budget=mse:1}")).refused(1, &["`choose` needs calibration data"]);
    folder.weft(&format!("{} --calibrate data", opt(""))).refused(1, &["needs a bound", "--max-error"]);
    folder.weft(&opt("{menu=int9}")).refused(2, &["`int9`", "`int` with 2 to 8 bits"]);
    folder.weft(&opt("{sparsity=1}")).refused(2, &["cannot hold `1`"]);
    folder.weft(&opt("{group=12}")).refused(2, &["multiple of 16"]);
    folder.weft(&opt("{budget=acc:1}")).refused(2, &["expected `mse:X`, `kl:X` or `ppl:X`"]);
    let kl = format!("{} --calibrate data --max-error kl:1", opt(""));
    folder.weft(&kl).refused(1, &["the bound `kl:1` is about a text"]);
}
