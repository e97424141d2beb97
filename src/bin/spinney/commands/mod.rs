//! The commands: each is a file here, a `mod` and a line in the list below.
//!
//! A file of a command holds its `Args`, whose first words are its help, and `Args::run`.

#![forbid(unsafe_code)]

mod backup;
mod bench;
mod blobs;
mod check;
mod compact;
mod count;
mod demo;
mod demo_catalog;
mod du;
mod export;
mod get;
mod import;
mod load;
mod ls;
mod mv;
mod publish;
mod put;
mod rm;
mod rmdir;
mod stat;
mod tree;
mod trees;

use std::process::ExitCode;

use clap::Parser;

use crate::failure::Result;
use crate::output::{Output, Style, complain};

macro_rules! commands {
    ($($name:ident($module:ident)),* $(,)?) => {
        #[derive(clap::Subcommand)]
        enum Command {
            $($name($module::Args)),*
        }

        impl Command {
            fn run(self, out: &mut Output) -> Result<()> {
                match self {
                    $(Command::$name(args) => args.run(out)),*
                }
            }
        }
    };
}

commands! {
    Get(get),
    Put(put),
    Rm(rm),
    Ls(ls),
    Tree(tree),
    Du(du),
    Count(count),
    Mv(mv),
    Rmdir(rmdir),
    Import(import),
    Load(load),
    Export(export),
    Trees(trees),
    Stat(stat),
    Check(check),
    Compact(compact),
    Backup(backup),
    Publish(publish),
    Blobs(blobs),
    Bench(bench),
    Demo(demo),
    DemoCatalog(demo_catalog),
}

/// Looks into Spinney databases, fills and checks them.
///
/// Exit codes: 0 success, 1 not found or not clean, 2 wrong usage, 3 any other error.
#[derive(clap::Parser)]
#[command(name = "spinney", version, subcommand_required = true, arg_required_else_help = true)]
struct Arguments {
    #[command(flatten)]
    style: Style,
    #[command(subcommand)]
    command: Command,
}

/// The whole program.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help goes to stdout, all else to stderr; if that is closed there is nobody to tell.
            let _ = error.print();
            return ExitCode::from(error.exit_code() as u8);
        }
    };
    let mut out = Output::new(arguments.style);
    let ended = arguments.command.run(&mut out).and_then(|()| out.flush());
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // What was answered before comes first.
            let _ = out.flush();
            if let Some(message) = failure.message() {
                complain(message);
            }
            ExitCode::from(failure.code())
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_arguments_are_sound() {
        use clap::CommandFactory;
        super::Arguments::command().debug_assert();
    }
}
