//! `weft filetest`
use crate::args::{FiletestArgs, Talk};
use crate::failure::Failure;
use crate::out;
use serde_json::json;
use weft::Error;
use weft::testing::{Snapshots, Tally, filetests};

pub(crate) fn run(args: &FiletestArgs, talk: Talk) -> Result<(), Failure> {
    let how = if args.bless { Snapshots::Bless } else { Snapshots::Check };
    let unread = |error| Error::Folder { folder: args.folder.clone(), error };
    let tally = filetests(&args.extensions.driver()?, &args.folder, &args.only, how).map_err(unread)?;
    let Tally { passed, failures } = &tally;
    if *passed == 0 && failures.is_empty() {
        let (folder, only) = (args.folder.display(), &args.only);
        return Err(Failure::Misuse(format!("`{folder}` holds no `.weft` file with `{only}` in its path")));
    }
    if talk.json {
        let failed =
            failures.iter().map(|f| json!({ "file": f.file.display().to_string(), "message": f.message }));
        out::json(&json!({ "passed": passed, "failed": failed.collect::<Vec<_>>() }));
    } else {
        failures.iter().for_each(|failure| out::print(&format!("{failure}\n\n")));
        out::print(&format!("{passed} passed, {} failed\n", failures.len()));
    }
    if failures.is_empty() { Ok(()) } else { Err(Failure::Told(1)) }
}
