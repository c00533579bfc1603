//! The runtime as an object needs libc, libm and threads only, and makes a working program and a valid header.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// All that an object may ask of the system.
const ALLOWED: &str = "abort bcmp calloc clock_gettime cos exp free log madvise memcpy memmove memset posix_memalign \
    pthread_create pthread_join pthread_setaffinity_np sched_getaffinity sched_getcpu sqrt strlen syscall";

/// What a program asks besides: files, and the model.
const ALLOWED_EXE: &str = "__errno_location close lseek mkdir open read strerror write weft_model";

fn run(command: &mut Command) -> Output {
    let output = command.output().expect("the command is installed");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Builds a flavour of the runtime as the code generator does, and returns the one object that matters.
fn build(flavour: &str, folder: &Path) -> PathBuf {
    std::fs::create_dir_all(folder).expect("the folder for tests can be made");
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let archive = folder.join(format!("{flavour}.a"));
    let options = "--edition=2024 --crate-name=weft_runtime --crate-type=staticlib -Clto=fat -Copt-level=3 \
        -Cpanic=abort -Ccodegen-units=1 -Crelocation-model=pic -Cstrip=debuginfo --cap-lints=allow";
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let source = here.join(format!("{flavour}.rs"));
    run(Command::new(rustc).args(options.split_whitespace()).arg(source).arg("-o").arg(&archive));
    let members = text(&run(Command::new("ar").arg("t").arg(&archive)));
    let member =
        members.lines().find(|name| name.contains("weft_runtime")).expect("the archive holds the crate");
    run(Command::new("ar").current_dir(folder).arg("x").arg(&archive).arg(member));
    folder.join(member)
}

fn undefined(object: &Path) -> Vec<String> {
    let names = text(&run(Command::new("nm").arg("-u").arg(object)));
    names.lines().filter_map(|line| line.split_whitespace().last()).map(str::to_owned).collect()
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[test]
fn the_library_flavour_needs_libc_only() {
    let object = build("object", &folder("object-lib"));
    for name in undefined(&object) {
        assert!(ALLOWED.split_whitespace().any(|allowed| allowed == name), "`{name}` is undefined");
    }
}

#[test]
fn the_program_flavour_runs_a_model() {
    let folder = folder("object-exe");
    let object = build("object_exe", &folder);
    for name in undefined(&object) {
        let mut allowed = ALLOWED.split_whitespace().chain(ALLOWED_EXE.split_whitespace());
        assert!(allowed.any(|allowed| allowed == name), "`{name}` is undefined");
    }
    let program = folder.join("model");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture.c");
    run(Command::new("cc")
        .arg("-O1")
        .arg(fixture)
        .arg(&object)
        .arg("-o")
        .arg(&program)
        .args(["-lm", "-pthread"]));
    shows(&program);
    reads_and_writes(&program, &folder);
    refuses(&program);
}

fn shows(program: &Path) {
    let model = || Command::new(program);
    assert!(text(&run(model().arg("--help"))).contains("x: f32[N]"));
    let summary = text(&run(model().args(["--random", "1", "--dim", "N=1000", "--threads=3"])));
    assert!(summary.starts_with("out/y: f32[1000]  min -"), "{summary}");
    let bench = text(&run(model().args(["--random", "1", "--bench", "--seconds", "0.05", "--profile"])));
    assert!(bench.contains("median ") && bench.contains("twice (map)"), "{bench}");
}

fn reads_and_writes(program: &Path, folder: &Path) {
    let model = || Command::new(program);
    let (out, again) = (folder.join("a/out"), folder.join("again"));
    run(model().args(["--random", "1", "--dim", "N=10", "--output-dir"]).arg(&out));
    let mut input = std::ffi::OsString::from("x=");
    input.push(out.join("out_y.npy"));
    run(model().arg("--input").arg(&input).arg("--output-dir").arg(&again));
    let read = |folder: &Path| std::fs::read(folder.join("out_y.npy")).expect("the program wrote it");
    let floats = |bytes: &[u8]| -> Vec<f32> {
        bytes[128..].chunks(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect()
    };
    let (first, second) = (floats(&read(&out)), floats(&read(&again)));
    assert_eq!(first.len(), 10);
    assert!(first.iter().zip(&second).all(|(first, second)| 2.0 * first == *second && *first != 0.0));
}

fn refuses(program: &Path) {
    for (arguments, code, message) in [
        (&["--random"][..], 2, "no value after `--random`"),
        (&["--wrong", "1"], 2, "unknown argument `--wrong`"),
        (&["--threads", "0", "--random", "1"], 2, "expected a number from 1 to 1024"),
        (&["--dim", "Q=1"], 2, "expected NAME=NUMBER"),
        (&["--input", "z=f.npy"], 2, "expected NAME=FILE"),
        (&[], 2, "found nothing for input `x`"),
        (&["--input", "x=/nowhere.npy"], 1, "No such file"),
        (&["--random", "1", "--output-dir", "/proc/no"], 1, "cannot be made"),
        (&["--random", "1", "--dim", "N=4000000000000000000"], 1, "cannot be had"),
    ] {
        let output = Command::new(program).args(arguments).output().expect("the program runs");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(
            (output.status.code(), error.contains(message)),
            (Some(code), true),
            "{arguments:?}: {error}"
        );
    }
}

#[test]
fn the_header_is_valid_c() {
    let folder = folder("header");
    std::fs::create_dir_all(&folder).expect("the folder for tests can be made");
    let header = weft_runtime::header::TEMPLATE.replace("@ABI@", "1");
    let fill = |stem: &str| std::fs::write(folder.join(format!("{stem}.h")), header.replace("@STEM@", stem));
    fill("one").and_then(|()| fill("two")).expect("the folder is there");
    let source = "#include \"one.h\"\n#include \"two.h\"\n_Static_assert(sizeof(weft_options) == 12, \"\");\n\
        _Static_assert(sizeof(weft_port) == 24 && sizeof(weft_dim) == 24, \"\");\n\
        void *uses[] = {(void *)one_open, (void *)two_close};\n";
    std::fs::write(folder.join("main.c"), source).expect("the folder is there");
    let checks = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"];
    run(Command::new("cc").current_dir(&folder).args(checks).arg("main.c"));
}
