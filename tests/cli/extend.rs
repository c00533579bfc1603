//! `weft new`, and plugins that are not there.
use crate::weft::Folder;

#[test]
fn names_that_cannot_be_are_refused() {
    let folder = Folder::empty();
    for (name, words) in [
        ("Fold-This", "expected words like `fold-this`"),
        ("fold--this", "expected words like `fold-this`"),
        ("1st", "expected words like `fold-this`"),
        ("match", "means something else"),
        ("weft-ir", "means something else"),
        ("dead-code", "weft has a pass or pipeline `dead-code`"),
    ] {
        folder.weft(&format!("new plugin {name}")).refused(2, &[name, words]);
    }
    folder.weft("new plugin mine --weft .").refused(2, &["`.` is no checkout of weft", "--weft DIR"]);
    assert_eq!(folder.files(), [""; 0], "nothing was begun");
}

#[test]
fn what_is_there_stays_as_it_is() {
    let folder = Folder::empty();
    folder.weft("new pass mine").done();
    let made = folder.read("mine/src/mine.rs");
    folder.write("mine/src/mine.rs", b"changed");
    folder.weft("new plugin mine").refused(2, &["`mine` is there already"]);
    folder.weft("new pass mine").refused(2, &["`mine` is there already"]);
    assert_eq!(folder.read("mine/src/mine.rs"), b"changed");
    assert!(made.starts_with(b"//! "));
}

#[test]
fn a_plugin_that_is_not_there_is_named() {
    let folder = Folder::linear();
    for command in [
        "compile linear.weft --plugin none.so",
        "run linear.weft --random 1 --plugin none.so",
        "test linear.weft --random 1 --plugin none.so",
        "opt linear.weft --pipeline O1 --plugin none.so",
        "inspect linear.weft --plugin none.so",
        "reduce linear.weft --pipeline O1 -o small.weft --plugin none.so",
        "filetest . --plugin none.so",
        "passes --plugin none.so",
        "plugins --plugin none.so",
        "ops --plugin none.so",
    ] {
        folder.weft(command).refused(1, &["cannot open the plugin `none.so`"]);
    }
}

#[test]
fn plugins_are_listed_with_what_they_added() {
    let folder = Folder::empty();
    let listed = folder.weft("plugins").done();
    assert!(listed.starts_with("weft "), "{listed}");
    let passes = listed.lines().find_map(|line| line.trim().strip_prefix("pass "));
    assert!(passes.and_then(|count| count.trim().parse::<u32>().ok()).is_some_and(|n| n > 20), "{listed}");
    let json = folder.weft("plugins --json").json();
    assert_eq!(json["plugins"][0]["name"], "weft");
    let added = json["plugins"][0]["added"].as_array().unwrap();
    assert!(added.iter().any(|added| added["kind"] == "pass" && added["name"] == "dead-code"), "{json}");
    folder.write(
        "mine.rules",
        b"/// Twice nothing.\nrule neg-of-neg-again { match Neg(Neg(?x)) rewrite ?x }\n",
    );
    let listed = folder.weft("plugins --rules mine.rules").done();
    assert!(listed.contains("mine.rules (mine.rules): a file with rules\n"), "{listed}");
    assert!(listed.contains("  rule      neg-of-neg-again  Twice nothing.\n"), "{listed}");
}
