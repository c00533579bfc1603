//! One file for each command.
mod bench;
mod compile;
mod filetest;
mod inspect;
mod new;
mod ops;
mod opt;
mod passes;
mod plugins;
mod reduce;
mod rules;
mod run;
mod targets;
mod test;

use crate::args::{Cli, Command};
use crate::failure::Failure;

/// Does what was asked for.
pub(crate) fn run(cli: Cli) -> Result<(), Failure> {
    let talk = cli.talk;
    match cli.command {
        Command::Compile(args) => compile::run(&args, talk),
        Command::Run(args) => run::run(&args, talk),
        Command::Test(args) => test::run(&args, talk),
        Command::Bench(args) => bench::run(&args, talk),
        Command::Opt(args) => opt::run(&args, talk),
        Command::Reduce(args) => reduce::run(&args, talk),
        Command::Filetest(args) => filetest::run(&args, talk),
        Command::Inspect(args) => inspect::run(&args, talk),
        Command::Passes(args) => passes::run(&args, talk),
        Command::Rules(args) => rules::run(&args, talk),
        Command::Plugins(extensions) => plugins::run(&extensions, talk),
        Command::Ops(args) => ops::run(&args, talk),
        Command::Targets => targets::run(talk),
        Command::New(what) => new::run(&what, talk),
    }
}
