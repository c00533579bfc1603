//! One file for each command.
mod compile;
mod opt;

use crate::args::{Cli, Command};
use crate::failure::Failure;

/// Does what was asked for.
pub(crate) fn run(cli: Cli) -> Result<(), Failure> {
    let talk = cli.talk;
    match cli.command {
        Command::Compile(args) => compile::run(args, talk),
        Command::Opt(args) => opt::run(args, talk),
        _ => todo!(),
    }
}
