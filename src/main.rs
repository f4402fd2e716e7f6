//! The `ssb` program: hands the command line to the library and the exit code to the shell.

use std::process::ExitCode;

fn main() -> ExitCode {
    ssb::cli::run(std::env::args_os())
}
