//! Operators that functions in C compute: interpreted, compiled, and what goes wrong with them.
use crate::built;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use tempfile::TempDir;
use weft::testing::seeded_inputs;
use weft::{CompileOptions, Driver, Made, Model, PassOptions, Quiet, Runner, Tolerance};
use weft_backend::Emit;
use weft_ir::text::{NoWeights, Style, print};
use weft_ir::{ForeignFunction, Module, Tensor, TensorType};
use weft_passes::{Plugin, PluginInfo, RegisterError, Registrar};

const STACK: &str = "weft 1 canonical
graph @main(%x: f32[N, 3], %by: f32[]) -> (f32[4*N, 3], i64[], f32[2*N, 3]) {
    %r = Relu(%x) : f32[N, 3]
    %a, %s = acme.Stack(%r) {add = 0.5} : f32[2*N, 3], i64[]
    %n = Neg(%a) : f32[2*N, 3]
    %b, %t = acme.Stack(%n, %by) {add = -1.5, more = [7], word = \"\"} : f32[4*N, 3], i64[]
    %u = Add(%s, %t) : i64[]
    return %b, %u, %a
}
";

const SORT: &str = "weft 1 canonical
graph @main(%x: f32[N, C]) -> (f32[N, C], f32[C, N]) {
    %y = acme.SortRows(%x) : f32[N, C]
    %t = Transpose(%x) {perm = [1, 0]} : f32[C, N]
    %z = acme.SortRows(%t) {descending = 1} : f32[C, N]
    return %y, %z
}
";

/// A plugin library and the object it is made of, which its definition names.
struct Built {
    folder: TempDir,
    library: PathBuf,
}

fn cc(arguments: &[&str], from: &Path, to: &Path) {
    let mut compiler = Command::new("cc");
    compiler.args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O2", "-fPIC", "-I"]);
    compiler.arg(built::root().join("passes/abi/include")).args(arguments).arg("-o").arg(to).arg(from);
    let output = compiler.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn build(source: &str, object: &str, flags: &[&str]) -> Built {
    let folder = tempfile::tempdir().unwrap();
    let (object, library) = (folder.path().join(object), folder.path().join("libplugin.so"));
    cc(&[&["-c"], flags].concat(), &built::root().join(source), &object);
    cc(&["-shared"], &object, &library);
    Built { folder, library }
}

fn stack() -> Built {
    build("tests/plugins/foreign.c", "plugin.o", &[])
}

fn driver(library: &Path) -> Driver {
    let mut driver = Driver::new().unwrap();
    driver.load(library).unwrap();
    driver
}

fn module(driver: &Driver, text: &str) -> Module {
    let module = Module::parse(text, driver.ops(), &NoWeights).unwrap();
    weft_ir::verify::verify(&module, driver.ops()).unwrap();
    module
}

fn inputs(module: &Module, n: u64) -> Vec<Arc<Tensor>> {
    seeded_inputs(module, &[("N".to_string(), n), ("C".to_string(), 5)].into()).unwrap()
}

#[track_caller]
fn agree(expected: &[Tensor], found: &[Tensor]) {
    let tolerance = Tolerance { rtol: 1e-6, atol: 1e-6 };
    assert_eq!(expected.len(), found.len());
    expected.iter().zip(found).for_each(|(a, b)| tolerance.compare(a, b).unwrap());
}

fn compiled(driver: &Driver, text: &str, emit: Emit, output: &Path) -> Result<Made, weft::Error> {
    let model = Model { path: "acme.weft".into(), module: module(driver, text), report: Default::default() };
    let options = CompileOptions { cpu: "x86-64-v3".to_string(), ..Default::default() };
    driver.compile(model, &options, (emit, output), &mut Quiet)
}

/// A program run on an input of that many rows of three.
fn run(program: &Path, data: &[f32]) -> Output {
    let folder = program.parent().unwrap();
    let dict = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, 3), }}", data.len() / 3);
    let header = format!("{dict:117}\n");
    let mut file = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    file.extend(header.bytes());
    data.iter().for_each(|x| file.extend(x.to_le_bytes()));
    std::fs::write(folder.join("x.npy"), file).unwrap();
    let arguments = ["--input", "x=x.npy", "--random", "1", "--output-dir", "out"];
    Command::new(program).args(arguments).current_dir(folder).output().unwrap()
}

#[test]
fn they_print_and_read_back() {
    let built = stack();
    let driver = driver(&built.library);
    assert_eq!(print(&module(&driver, STACK), driver.ops(), Style::default()), STACK);
}

#[test]
fn the_interpreter_calls_them() {
    let built = stack();
    let driver = driver(&built.library);
    let module = module(&driver, STACK);
    let inputs = inputs(&module, 4);
    let outputs = driver.interpret(module).run(&inputs).unwrap();
    let (x, by) = (inputs[0].to_f64s().unwrap(), inputs[1].to_f64s().unwrap()[0]);
    let rows: Vec<f64> = x.iter().map(|x| x.max(0.0)).collect();
    let below = |rows: &[f64], by: f64, add: f64| -> Vec<f64> {
        rows.iter().copied().chain(rows.iter().map(|x| x * by + add)).collect()
    };
    let once = below(&rows, 1.0, 0.5);
    let twice = below(&once.iter().map(|x| -x).collect::<Vec<_>>(), by, -1.5);
    for (expected, found) in [(twice, &outputs[0]), (once, &outputs[2])] {
        let found = found.to_f64s().unwrap();
        assert_eq!(expected.len(), found.len());
        assert!(expected.iter().zip(&found).all(|(a, b)| (a - b).abs() < 1e-5), "{expected:?} {found:?}");
    }
    let letters = i64::from(b'a') + i64::from(b'b');
    assert_eq!(outputs[1].to_i64s(), Some(vec![1 + 2 + letters + 7]));
}

#[test]
fn libraries_are_linked_with_them() {
    let (stack, sort) = (stack(), build("examples/plugins/c/sort_rows.c", "sort_rows.o", &[]));
    for (built, text) in [(&stack, STACK), (&sort, SORT)] {
        let driver = driver(&built.library);
        let output = built.folder.path().join("model.so");
        compiled(&driver, text, Emit::Lib, &output).unwrap();
        let runner = Runner::open(&output, weft_load::Options::default()).unwrap();
        let module = module(&driver, text);
        let interpreter = driver.interpret(module.clone());
        // Also without rows, and with more than before.
        for n in [4, 0, 9] {
            let inputs = inputs(&module, n);
            agree(&interpreter.run(&inputs).unwrap(), &runner.run(&inputs).unwrap());
        }
    }
}

#[test]
fn programs_are_linked_with_them() {
    let built = stack();
    let driver = driver(&built.library);
    let text = "weft 1 canonical
graph @main(%x: f32[N, 3]) -> (f32[2*N, 3]) {
    %y, %s = acme.Stack(%x) {add = 0.5} : f32[2*N, 3], i64[]
    return %y
}
";
    let program = built.folder.path().join("model");
    compiled(&driver, text, Emit::Exe, &program).unwrap();
    let done = run(&program, &[1.0, -2.0, 3.0]);
    assert!(done.status.success(), "{done:?}");
    let file = std::fs::read(built.folder.path().join("out/y.npy")).unwrap();
    let found: Vec<f32> =
        file[file.len() - 24..].chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    assert_eq!(found, [1.0, -2.0, 3.0, 1.5, -1.5, 3.5]);
    // What it says when the function fails.
    let failed = run(&program, &[1.0, 2000.0, 3.0]);
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert_eq!(failed.status.code(), Some(1), "{said}");
    assert!(said.contains("`acme.Stack` at `%y`: the function `acme_stack` failed with status 7"), "{said}");
}

#[test]
fn constants_go_through_them_at_compile_time() {
    let built = build("examples/plugins/c/sort_rows.c", "sort_rows.o", &[]);
    let driver = driver(&built.library);
    let text = "weft 1 canonical
graph @main() -> (f32[1, 3]) {
    %x = Const() {value = f32[1, 3]{2.0, 3.0, 1.0}} : f32[1, 3]
    %y = acme.SortRows(%x) : f32[1, 3]
    return %y
}
";
    let mut module = module(&driver, text);
    driver
        .optimise(
            &mut module,
            &driver.plan("fold-constants,clean").unwrap(),
            PassOptions::default(),
            &mut Quiet,
        )
        .unwrap();
    let after = print(&module, driver.ops(), Style::default());
    assert!(after.contains("f32[1, 3]{1.0, 2.0, 3.0}") && !after.contains("acme"), "{after}");
}

#[test]
fn a_function_that_fails_is_named() {
    let built = stack();
    let driver = driver(&built.library);
    let module = module(&driver, STACK);
    let mut inputs = inputs(&module, 1);
    inputs[0] = Arc::new(
        Tensor::new(weft_ir::DType::F32, vec![1, 3], [2000f32; 3].map(f32::to_le_bytes).concat().into())
            .unwrap(),
    );
    let message = "`acme.Stack` at `%a`: the function `acme_stack` failed with status 7";
    let said = driver.interpret(module).run(&inputs).unwrap_err().to_string();
    assert!(said.contains(message), "{said}");
    let output = built.folder.path().join("model.so");
    compiled(&driver, STACK, Emit::Lib, &output).unwrap();
    let said =
        Runner::open(&output, weft_load::Options::default()).unwrap().run(&inputs).unwrap_err().to_string();
    assert!(said.contains(message), "{said}");
}

#[test]
fn what_is_missing_is_named() {
    // In the library.
    let without = build("tests/plugins/foreign.c", "plugin.o", &["-DNAME=\"acme_gone\""]);
    let said = Driver::new().unwrap().load(&without.library).unwrap_err().to_string();
    let words = "the operator `acme.Stack` is computed by `acme_gone`, which the library does not export";
    assert!(said.contains(words), "{said}");
    // In the object.
    let built = stack();
    let (driver, object) = (driver(&built.library), built.folder.path().join("plugin.o"));
    cc(&["-c", "-DWITHOUT"], &built::root().join("tests/plugins/foreign.c"), &object);
    for emit in [Emit::Exe, Emit::Lib] {
        let said =
            compiled(&driver, STACK, emit, &built.folder.path().join("model")).unwrap_err().to_string();
        let words = format!("`acme.Stack` at `%a`: `{}` has no function `acme_stack`", object.display());
        assert!(said.contains(&words), "{said}");
    }
    // The object.
    std::fs::remove_file(&object).unwrap();
    let said =
        compiled(&driver, STACK, Emit::Lib, &built.folder.path().join("model")).unwrap_err().to_string();
    assert!(said.contains(&format!("`acme.Stack` at `%a`: cannot read `{}`", object.display())), "{said}");
    assert!(said.contains("No such file"), "{said}");
}

/// The same operator from a crate, which computes it in Rust where it is interpreted.
struct Crate(PathBuf);

/// Sorts in Rust.
struct Sort;

impl ForeignFunction for Sort {
    fn call(&self, inputs: &[Option<Arc<Tensor>>], results: &[TensorType]) -> Result<Vec<Tensor>, String> {
        let x = inputs[0].as_ref().ok_or("needs rows")?;
        let descending = inputs[1].as_ref().and_then(|flag| flag.to_i64s()).is_some_and(|flag| flag[0] != 0);
        let mut elements = x.to_f64s().ok_or("needs numbers")?;
        for row in elements.chunks_mut(x.dims()[1] as usize) {
            row.sort_by(|a, b| if descending { b.total_cmp(a) } else { a.total_cmp(b) });
        }
        Ok(vec![weft_passes::floats(results[0].dtype, x.dims(), &elements).ok_or("needs floats")?])
    }
}

impl Plugin for Crate {
    fn info(&self) -> PluginInfo {
        PluginInfo { name: "acme", version: "1.0", summary: "rows in order" }
    }

    fn register(&self, registrar: &mut Registrar) -> Result<(), RegisterError> {
        let text = "/// Each row in order.\noperator acme.SortRows(x) {descending: int = 0}\n\
                    extern acme_sort_rows(%x: f32[N, C]) -> (f32[N, C])\nfrom \"sort_rows.o\"\n";
        registrar.foreign_operators(text, &self.0, &|symbol| {
            (symbol == "acme_sort_rows").then(|| Arc::new(Sort) as Arc<dyn ForeignFunction>)
        })
    }
}

#[test]
fn a_crate_brings_one_too() {
    let built = build("examples/plugins/c/sort_rows.c", "sort_rows.o", &[]);
    let mut driver = Driver::new().unwrap();
    driver.add(&Crate(built.folder.path().to_path_buf())).unwrap();
    let module = module(&driver, SORT);
    let inputs = inputs(&module, 4);
    let output = built.folder.path().join("model.so");
    compiled(&driver, SORT, Emit::Lib, &output).unwrap();
    let found = Runner::open(&output, weft_load::Options::default()).unwrap().run(&inputs).unwrap();
    agree(&driver.interpret(module).run(&inputs).unwrap(), &found);
}

/// A definition is refused and the error says these.
#[track_caller]
fn refused(definition: &str, words: &[&str]) {
    let text = format!("/// A sentence.\noperator a.B(x, y?) {{k: int = 2}}\n{definition}");
    let message = weft_ir::text::parse_operators(&text).unwrap_err().to_string();
    for word in words {
        assert!(message.contains(word), "`{word}` is not in: {message}");
    }
}

#[test]
fn signatures_that_mean_nothing_are_refused_by_line() {
    let good = "extern f(%x: f32[N]) -> (f32[N])\n";
    refused(good, &["4:1", "expected `from`"]);
    refused(&format!("{good}from f.o\n"), &["4:6", "the object or archive"]);
    refused(&format!("{good}from \"f.so\"\n"), &["4:1", "neither an object, `.o`, nor an archive"]);
    refused("extern f.g(%x: f32[N]) -> (f32[N])\n", &["3:1", "is no name of a function in C"]);
    refused("extern main(%x: f32[N]) -> (f32[N])\n", &["3:1", "a function of weft's own"]);
    refused("extern weft_f(%x: f32[N]) -> (f32[N])\n", &["3:1", "a function of weft's own"]);
    refused(
        "extern f(%x: f32[N]) -> (f32[M])\n",
        &["3:1", "the extent `M` of a result is that of no operand"],
    );
    refused("extern f(%x: f32[N]) -> (f32[*])\n", &["3:1", "the shape `*` of an operand"]);
    refused("extern f(%x: f32[N]) -> ()\n", &["3:1", "expected a result"]);
    refused("extern f(%z: f32[N]) -> (f32[N])\n", &["3:1", "`%z` is no operand"]);
    refused("extern f(%y: f32[N]) -> (f32[N])\n", &["3:1", "operand `x`"]);
    refused("extern f(%x: f32[N]) -> (f32[$q])\n", &["3:1", "`q` has no value"]);
    refused(&format!("{good}extern g(%x: f64[N]) -> (f64[N], f64[N])\n"), &["4:1", "different counts"]);
}
