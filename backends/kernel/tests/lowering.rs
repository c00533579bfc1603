//! Every operator lowered, run, and compared with the reference interpreter.
//!
//! Cases stand in `cases/*.weft`: after `=== NAME`, a line `at N=1 H=5 | N=2 H=9` names the sizes to
//! run at, lines `range %x 0 3` bound what inputs hold, `shapes only` compares no elements, `in rows` wants
//! every kernel to read and write elements that lie in rows, `fails TEXT` wants every run to fail with that
//! text, then comes a graph.
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use weft_interp::Interpreter;
use weft_ir::text::NoWeights;
use weft_ir::{DType, Module, OpSet, Tensor, Value};
use weft_kernel::program::{Program, exec};
use weft_kernel::schedule::Machine;

/// One graph with what it is run on.
#[derive(Debug, Default)]
struct Case {
    name: String,
    sizes: Vec<BTreeMap<String, i64>>,
    ranges: BTreeMap<String, (f64, f64)>,
    /// Random numbers differ, so nothing but their number is compared.
    shapes_only: bool,
    /// No kernel may gather or scatter.
    in_rows: bool,
    /// What the message of every run holds, if none may succeed.
    fails: Option<String>,
    text: String,
}

fn cases(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("=== ") {
            cases.push(Case { name: name.to_string(), ..Case::default() });
            continue;
        }
        let Some(case) = cases.last_mut() else { continue };
        if let Some(sizes) = line.strip_prefix("at ") {
            case.sizes.extend(sizes.split('|').map(bindings));
        } else if line == "shapes only" {
            case.shapes_only = true;
        } else if line == "in rows" {
            case.in_rows = true;
        } else if let Some(text) = line.strip_prefix("fails ") {
            case.fails = Some(text.to_string());
        } else if let Some(range) = line.strip_prefix("range ") {
            let parts: Vec<&str> = range.split_whitespace().collect();
            let name = parts[0].trim_start_matches('%').to_string();
            case.ranges.insert(
                name,
                (
                    parts[1].parse().expect("a well-formed case"),
                    parts[2].parse().expect("a well-formed case"),
                ),
            );
        } else {
            case.text.push_str(line);
            case.text.push('\n');
        }
    }
    cases.iter_mut().filter(|c| c.sizes.is_empty()).for_each(|c| c.sizes.push(BTreeMap::new()));
    cases
}

fn bindings(text: &str) -> BTreeMap<String, i64> {
    let pairs = text.split_whitespace().map(|pair| pair.split_once('=').expect("a well-formed case"));
    pairs.map(|(name, value)| (name.to_string(), value.parse().expect("a well-formed case"))).collect()
}

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) as f64 / (1u64 << 31) as f64
    }

    fn tensor(&mut self, dtype: DType, dims: &[u64], (low, high): (f64, f64)) -> Tensor {
        let count: u64 = dims.iter().product();
        let mut bytes = Vec::new();
        for _ in 0..count {
            let x = low + (high - low) * self.next();
            element(dtype, x, &mut bytes);
        }
        Tensor::new(dtype, dims.to_vec(), bytes.into()).expect("a well-formed case")
    }
}

fn element(dtype: DType, x: f64, bytes: &mut Vec<u8>) {
    match dtype {
        DType::F64 => bytes.extend(x.to_le_bytes()),
        DType::F32 => bytes.extend((x as f32).to_le_bytes()),
        DType::F16 => bytes.extend(half::f16::from_f64(x).to_le_bytes()),
        DType::Bf16 => bytes.extend(half::bf16::from_f64(x).to_le_bytes()),
        DType::Bool => bytes.push(u8::from(x > 0.0)),
        _ => bytes.extend_from_slice(&(x.floor() as i64).to_le_bytes()[..dtype.bits() as usize / 8]),
    }
}

fn usual_range(dtype: DType) -> (f64, f64) {
    match dtype.kind() {
        weft_ir::types::Kind::Unsigned => (0.0, 20.0),
        weft_ir::types::Kind::Bool => (-1.0, 1.0),
        weft_ir::types::Kind::Signed => (-9.0, 10.0),
        _ => (-2.0, 2.0),
    }
}

fn inputs(module: &Module, case: &Case, sizes: &BTreeMap<String, i64>) -> Vec<Arc<Tensor>> {
    let mut numbers = Numbers(7);
    let graph = &module.graph;
    let input = |id: &weft_ir::NodeId| {
        let value = Value { node: *id, slot: 0 };
        let ty = graph.ty(value);
        let extent =
            |d: &weft_ir::Dim| d.eval(&|s| sizes.get(s).copied()).expect("a well-formed case") as u64;
        let dims: Vec<u64> = ty.dims.iter().flatten().map(extent).collect();
        let range = case.ranges.get(graph.name_of(value)).copied();
        Arc::new(numbers.tensor(ty.dtype, &dims, range.unwrap_or_else(|| usual_range(ty.dtype))))
    };
    graph.inputs().iter().map(input).collect()
}

fn same(found: &Tensor, expected: &Tensor) -> Result<(), String> {
    if (found.dtype(), found.dims()) != (expected.dtype(), expected.dims()) {
        let (f, e) = ((found.dtype(), found.dims()), (expected.dtype(), expected.dims()));
        return Err(format!("found {f:?}, expected {e:?}"));
    }
    let (a, b) =
        (found.to_f64s().expect("a well-formed case"), expected.to_f64s().expect("a well-formed case"));
    let (relative, absolute) = match found.dtype() {
        DType::F16 => (4e-3, 2e-3),
        DType::Bf16 => (2e-2, 2e-2),
        DType::F64 => (1e-6, 1e-6),
        dtype if dtype.is_float() => (2e-4, 2e-5),
        _ => (0.0, 0.0),
    };
    let close = |x: f64, y: f64| {
        x == y || (x.is_nan() && y.is_nan()) || (x - y).abs() <= absolute + relative * y.abs()
    };
    match a.iter().zip(&b).position(|(x, y)| !close(*x, *y)) {
        Some(at) => Err(format!("element {at} of {:?}: found {}, expected {}", found.dims(), a[at], b[at])),
        None => Ok(()),
    }
}

fn check(case: &Case) -> Result<(), String> {
    let text = format!("weft 1 canonical\n{}", case.text);
    let mut module = Module::parse(&text, OpSet::builtin(), &NoWeights).map_err(|e| format!("{e}"))?;
    weft_ir::infer::infer(&mut module.graph, OpSet::builtin()).map_err(|e| format!("{e:?}"))?;
    let lowered =
        |machine| weft_kernel::lower::lower(&module, OpSet::builtin(), &machine).map_err(|e| e.to_string());
    let program = lowered(Machine::X86_V3)?;
    run(case, &module, &program)?;
    let ahead = lowered(Machine { asks: false, dots: true, ..Machine::X86_V3 })?;
    let alike =
        ahead.kernels.iter().map(ToString::to_string).eq(program.kernels.iter().map(ToString::to_string));
    if alike { Ok(()) } else { run(case, &module, &ahead).map_err(|e| format!("looking ahead: {e}")) }
}

/// Compiled code and the nest, as the machine of the tests runs them, give what the operators do.
fn run(case: &Case, module: &Module, program: &Program) -> Result<(), String> {
    let apart = program.kernels.iter().find(|kernel| kernel.schedule.starts_with("generic"));
    if let Some(apart) = apart.filter(|_| case.in_rows) {
        return Err(format!("lanes gather or scatter:\n{apart}"));
    }
    let runner = Runner::new(program)?;
    for sizes in &case.sizes {
        let inputs = inputs(module, case, sizes);
        if let Some(text) = &case.fails {
            assert!(Interpreter::default().run(module, &inputs).is_err(), "{}: {sizes:?}", case.name);
            let ends = [runner.run(&inputs).map(drop), interpreted(program, &inputs).map(drop)];
            let wrong = ends.iter().find(|end| !end.as_ref().is_err_and(|message| message.contains(text)));
            wrong.map_or(Ok(()), |end| Err(format!("{sizes:?}: found {end:?}, expected `{text}`")))?;
            continue;
        }
        let expected =
            Interpreter::default().run(module, &inputs).map_err(|e| format!("interpreter: {e}"))?;
        let found = runner.run(&inputs).map_err(|e| format!("{sizes:?}: {e}"))?;
        if case.shapes_only {
            let shape = |t: &Tensor| (t.dtype(), t.dims().to_vec());
            assert!(found.iter().map(shape).eq(expected.iter().map(shape)));
            continue;
        }
        agree(&found, &expected).map_err(|e| format!("{sizes:?}: compiled: {e}"))?;
        if let Some(found) = interpreted(program, &inputs).map_err(|e| format!("{sizes:?}: {e}"))? {
            agree(&found, &expected).map_err(|e| format!("{sizes:?}: interpreted: {e}"))?;
        }
    }
    Ok(())
}

fn agree(found: &[Tensor], expected: &[Tensor]) -> Result<(), String> {
    let pairs = found.iter().zip(expected).enumerate();
    pairs.into_iter().try_for_each(|(i, (f, e))| same(f, e).map_err(|e| format!("output {i}: {e}")))
}

/// What the interpreter of programs computes, which checks every access; it knows nothing of the
/// functions of the runtime.
fn interpreted(program: &Program, inputs: &[Arc<Tensor>]) -> Result<Option<Vec<Tensor>>, String> {
    let inputs: Vec<Tensor> = inputs.iter().map(|t| (**t).clone()).collect();
    match exec::run(program, &inputs) {
        Ok(found) => Ok(Some(found)),
        Err(exec::RunError { fault: exec::Fault::Call(_), .. }) => Ok(None),
        Err(error) => Err(format!("interpreted: {error}")),
    }
}

/// Compiled code.
struct Runner {
    _folder: tempfile::TempDir,
    executable: weft_load::Executable,
}

impl Runner {
    fn new(program: &Program) -> Result<Self, String> {
        let folder = tempfile::tempdir().expect("a well-formed case");
        let mut options = weft_llvm::Options::new(weft_backend::Emit::Lib, folder.path().join("model.so"));
        (options.cpu, options.threads) = ("x86-64-v3".to_string(), 1);
        options.level = weft_backend::OptLevel::O1;
        let artifact = weft_llvm::compile(program, &options).map_err(|e| e.to_string())?;
        let options = weft_load::Options { threads: 1, profile: false };
        let executable = weft_load::Executable::open(&artifact.path, options).map_err(|e| e.to_string())?;
        Ok(Self { executable, _folder: folder })
    }

    fn run(&self, inputs: &[Arc<Tensor>]) -> Result<Vec<Tensor>, String> {
        let inputs: Vec<Tensor> = inputs.iter().map(|t| (**t).clone()).collect();
        self.executable.run(&inputs).map_err(|e| e.to_string())
    }
}

/// Runs the cases of one file; those whose name holds `CASE`, if that is set.
fn family(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name).with_extension("weft");
    let text = std::fs::read_to_string(&path).expect("a well-formed case");
    let only = std::env::var("CASE").unwrap_or_default();
    let mut failures = Vec::new();
    for case in cases(&text).iter().filter(|c| c.name.contains(&only)) {
        if std::env::var("CASE").is_ok() {
            eprintln!("{}", case.name);
        }
        if let Err(message) = check(case) {
            failures.push(format!("{}: {message}", case.name));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

macro_rules! families {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            family(stringify!($name));
        }
    )*};
}

families! {
    argument attention axes contract control cumulative einsum elementwise empty indexed loss movement norm pool quant random
    recurrent reduce resize row select signal vision
}

#[test]
fn every_operator_has_a_case() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).expect("there are cases") {
        text += &std::fs::read_to_string(entry.expect("a file").path()).expect("a text");
    }
    let missing: Vec<&str> = OpSet::builtin()
        .iter()
        .map(|def| def.name)
        .filter(|name| !text.contains(&format!("= {name}(")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
