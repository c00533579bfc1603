//! The command line: arguments in, exit code out. 0: done; 1: the work failed; 2: wrong usage.
#![forbid(unsafe_code)]

mod args;
mod commands;
mod compiling;
mod failure;
mod out;
mod scaffold;
mod talk;

use clap::Parser;
use std::process::ExitCode;

/// Deep graphs must not end in an overflow; memory that is not used costs nothing.
const STACK: usize = 512 << 20;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|at| format!(" at {}:{}", at.file(), at.line())).unwrap_or_default();
        let said = panic.payload_as_str().unwrap_or("no message");
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!(
                "error: internal error{place}: {said}\nhelp: this is a fault of weft; please report it with the model and \
                 the command line\n"
            ),
        );
    }));
    let work = std::thread::Builder::new().name("weft".to_string()).stack_size(STACK).spawn(run);
    match work.map(std::thread::JoinHandle::join) {
        Ok(Ok(code)) => code,
        Ok(Err(_)) => ExitCode::FAILURE,
        // Without the memory for a large stack, a small one has to do.
        Err(_) => run(),
    }
}

fn run() -> ExitCode {
    let cli = match args::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            drop(error.print());
            return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    let extensions = cli.command.extensions().cloned().unwrap_or_default();
    match commands::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(&extensions),
    }
}
