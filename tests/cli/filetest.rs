//! `weft filetest`
use crate::weft::Folder;

const TEST: &str = "// pipeline: identities
// why: Adding zero changes nothing.
// expect: Add 0
weft 1 canonical
graph @main(%x: f32[N, 8]) -> (f32[N, 8]) {
    %zero = Const() {value = f32[]{0.0}} : f32[]
    %a = Relu(%x) : f32[N, 8]
    %y = Add(%a, %zero) : f32[N, 8]
    return %y
}
";

fn folder() -> Folder {
    let folder = Folder::empty();
    folder.write("tests/mine/adds-zero.weft", TEST.as_bytes());
    folder
}

#[test]
fn a_new_file_has_no_snapshot_until_it_is_blessed() {
    let folder = folder();
    let first = folder.weft("filetest tests");
    assert_eq!(first.code, Some(1));
    assert!(
        first.out.contains("there is no snapshot yet") && first.out.contains("-    %y = Add"),
        "{}",
        first.out
    );
    assert!(first.out.ends_with("0 passed, 1 failed\n"), "{}", first.out);
    assert_eq!(folder.weft("filetest tests --bless").done(), "1 passed, 0 failed\n");
    assert_eq!(folder.weft("filetest tests").done(), "1 passed, 0 failed\n");
    assert!(String::from_utf8(folder.read("tests/mine/adds-zero.snap")).unwrap().contains("-    %y = Add"));
}

#[test]
fn stale_and_unused_snapshots_fail() {
    let folder = folder();
    folder.weft("filetest tests --bless").done();
    folder.write("tests/mine/adds-zero.weft", TEST.replace("Relu", "Abs").as_bytes());
    let stale = folder.weft("filetest tests");
    assert_eq!(stale.code, Some(1));
    assert!(stale.out.contains("the snapshot differs") && stale.out.contains("+++ the run"), "{}", stale.out);
    folder.weft("filetest tests --bless").done();
    folder.write("tests/mine/gone.snap", b"---\nsource: gone.weft\n---\n");
    let unused = folder.weft("filetest tests --json");
    assert_eq!(unused.code, Some(1));
    assert!(unused.out.contains("gone.snap") && unused.out.contains("no `.weft` file"), "{}", unused.out);
    assert_eq!(folder.weft("filetest tests --bless").done(), "1 passed, 0 failed\n");
    assert_eq!(folder.weft("filetest tests").done(), "1 passed, 0 failed\n");
}

#[test]
fn what_a_file_expects_is_checked_even_when_blessed() {
    let folder = folder();
    folder.write("tests/mine/adds-zero.weft", TEST.replace("expect: Add 0", "expect: Add 1").as_bytes());
    let wrong = folder.weft("filetest tests --bless");
    assert_eq!(wrong.code, Some(1));
    assert!(wrong.out.contains("expected 1 of `Add`, found 0"), "{}", wrong.out);
    folder.weft("filetest nowhere").refused(1, &["cannot read `nowhere`"]);
    folder.weft("filetest tests --only elsewhere").refused(2, &["elsewhere"]);
}

#[test]
fn a_snapshot_that_does_not_read_fails_until_it_is_blessed() {
    let folder = folder();
    folder.write("tests/mine/adds-zero.snap", b"---\nsource: [\n---\n");
    let broken = folder.weft("filetest tests");
    assert_eq!(broken.code, Some(1));
    assert!(broken.out.contains("cannot read the snapshot"), "{}", broken.out);
    assert_eq!(folder.weft("filetest tests --bless").done(), "1 passed, 0 failed\n");
}

#[test]
fn neither_cargo_nor_the_environment_has_a_say() {
    let folder = folder();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_weft"));
    command.args(["filetest", "tests"]).current_dir(folder.path("")).env("PATH", "");
    command.env("INSTA_UPDATE", "always").env("INSTA_FORCE_PASS", "1").env("CI", "1");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("there is no snapshot yet"), "{output:?}");
    assert!(!folder.path("tests/mine/adds-zero.snap").exists());
}
