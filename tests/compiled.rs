//! Compiled code against the interpreter: every graph under `tests/compiled`, at every size its head
//! names, on one thread and on two, for this processor and for a plain AVX2 one. One library serves
//! all sizes. `COMPILED=part-of-a-path` runs some.
#![cfg(feature = "llvm")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use weft::testing::seeded_inputs;
use weft::{CompileOptions, Driver, Model, Ports, Quiet, Runner, Tolerance};
use weft_frontend::Report;
use weft_ir::text::NoWeights;
use weft_ir::{Module, OpSet, Tensor};

/// A library compiled for AVX2 is right only up to the rounding of sums in another order.
const TOLERANCE: Tolerance = Tolerance { rtol: 2e-4, atol: 2e-5 };

/// Processors that are compiled for. Graphs share the second one's code with users' machines.
const CPUS: [&str; 2] = ["native", "x86-64-v3"];

/// One graph and the sizes it runs at.
struct Case {
    file: PathBuf,
    module: Module,
    sizes: Vec<BTreeMap<String, u64>>,
    tolerance: Tolerance,
}

macro_rules! families {
    ($($name:ident)*) => {
        const FAMILIES: &[&str] = &[$(stringify!($name),)*];
        $(#[test] fn $name() { family(stringify!($name)); })*
    };
}
families! { control conv elementwise gather matmul norm pool quantised recurrent reduce shape }

#[test]
fn every_folder_is_a_family() {
    let folders = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().file_name());
    let unknown: Vec<_> = folders.filter(|name| FAMILIES.iter().all(|family| name != family)).collect();
    assert!(unknown.is_empty(), "folders that no test runs: {unknown:?}");
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compiled")
}

fn family(name: &str) {
    let only = std::env::var("COMPILED").unwrap_or_default();
    let mut files: Vec<_> = fs::read_dir(root().join(name)).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let driver = Driver::new().unwrap();
    let mut failures = Vec::new();
    for file in files.into_iter().filter(|file| file.to_string_lossy().contains(&only)) {
        let case = Case::read(&file).unwrap_or_else(|wrong| panic!("{}: {wrong}", file.display()));
        for cpu in CPUS {
            if let Err(wrong) = case.run(&driver, cpu) {
                let file = file.strip_prefix(root()).unwrap().display();
                failures.push(format!("{file} for {cpu}: {wrong}"));
            }
        }
    }
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}

impl Case {
    fn read(file: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(file).map_err(|e| e.to_string())?;
        let head = |key: &str| text.lines().find_map(|line| line.strip_prefix(&format!("// {key}: ")));
        head("why").filter(|why| why.ends_with('.')).ok_or("it does not say why, in a sentence")?;
        let sizes = head("sizes").ok_or("it names no sizes")?.split(';').map(size).collect::<Option<_>>();
        let module = Module::parse(&text, OpSet::builtin(), &NoWeights).map_err(|e| e.to_string())?;
        weft_ir::verify::verify(&module, OpSet::builtin()).map_err(|breaches| format!("{breaches:?}"))?;
        let sizes = sizes.ok_or("a size has no number")?;
        let tolerance = head("tolerance").map_or(Ok(TOLERANCE), |text| {
            text.parse().map(|t| Tolerance { rtol: t, atol: t }).map_err(|e| format!("tolerance: {e}"))
        })?;
        Ok(Self { file: file.to_path_buf(), module, sizes, tolerance })
    }

    fn run(&self, driver: &Driver, cpu: &str) -> Result<(), String> {
        let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
        let library = folder.path().join("case.so");
        let options = CompileOptions { cpu: cpu.to_string(), ..CompileOptions::default() };
        let model = Model { path: self.file.clone(), module: self.module.clone(), report: Report::default() };
        let output = (weft_backend::Emit::Lib, library.as_path());
        driver.compile(model, &options, output, &mut Quiet).map_err(|e| e.to_string())?;
        for threads in [1, 2] {
            let load = weft_load::Options { threads, profile: false };
            let compiled = Runner::open(&library, load).map_err(|e| e.to_string())?;
            self.ports_agree(compiled.ports())?;
            // The first size again at the end: a larger run in between must leave nothing behind.
            for size in self.sizes.iter().chain(self.sizes.first()) {
                let agrees = self.agrees(&compiled, size);
                agrees.map_err(|wrong| format!("{size:?}, {threads} threads: {wrong}"))?;
            }
        }
        Ok(())
    }

    fn ports_agree(&self, found: &Ports) -> Result<(), String> {
        let names = |ports: &Ports| {
            let all = ports.inputs.iter().chain(&ports.outputs);
            all.map(|port| (port.name.clone(), port.ty.dtype, port.ty.rank())).collect::<Vec<_>>()
        };
        let expected = Ports::of_graph(&self.module.graph);
        match names(found) == names(&expected) {
            true => Ok(()),
            false => Err(format!("expected {expected:?}, found {found:?}")),
        }
    }

    fn agrees(&self, compiled: &Runner, size: &BTreeMap<String, u64>) -> Result<(), String> {
        let inputs = seeded_inputs(&self.module, size)?;
        let expected = Runner::interpret(self.module.clone(), OpSet::builtin())
            .run(&inputs)
            .map_err(|e| e.to_string())?;
        let found = self.twice(compiled, &inputs)?;
        for (port, (expected, found)) in compiled.ports().outputs.iter().zip(expected.iter().zip(&found)) {
            self.tolerance.compare(expected, found).map_err(|e| format!("output `{}`: {e}", port.name))?;
        }
        Ok(())
    }

    /// A run and the same again, which must give the same bits.
    fn twice(&self, compiled: &Runner, inputs: &[Arc<Tensor>]) -> Result<Vec<Tensor>, String> {
        let first = compiled.run(inputs).map_err(|e| e.to_string())?;
        let second = compiled.run(inputs).map_err(|e| e.to_string())?;
        let same = first.iter().zip(&second).all(|(a, b)| a.data() == b.data());
        if same { Ok(first) } else { Err("a second run gives other bits".to_string()) }
    }
}

/// `N=1, S=5`
fn size(text: &str) -> Option<BTreeMap<String, u64>> {
    let pair = |item: &str| {
        let (name, number) = item.trim().split_once('=')?;
        Some((name.to_string(), number.parse().ok()?))
    };
    text.split(',').map(pair).collect()
}
