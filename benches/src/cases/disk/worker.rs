//! One store's turn, seen from inside: finds the store and the task that the command line names.

#![forbid(unsafe_code)]

use super::work::Work;
use super::{amplify, cold, directories, durable, sorted, stall, warm};
use crate::cases::families;
use crate::keys::Values;
use crate::options;
use crate::stores::Result;
use crate::stores::disk::{self, DiskStore, DiskVisitor};
use std::io::{self, Read as _};
use std::time::Duration;
use std::{process, thread};

pub use super::child::WORKER;

/// Of one turn, at most: many times what the slowest takes.
const TIME_MAX: Duration = Duration::from_secs(20 * 60);

/// `args` come after the word that makes a process a turn.
pub fn main(args: &[String]) -> Result<()> {
    let [task, store, dir, round, data @ ..] = args else {
        return Err("what is started by the cases on disk alone".into());
    };
    thread::spawn(end_with_parent);
    let name = task.clone();
    thread::spawn(move || end_in_time(&name));
    let (_, options) = options::parse([task.clone()].into_iter().chain(data.iter().cloned()))?;
    let mut work = None;
    families::each(&options, &[], |family| {
        let (values, dir, round) = (Values::new(family.seed), dir.into(), round.parse()?);
        work = Some(Work { family, values, dir, round, quick: options.quick });
        Ok(())
    })?;
    let work = work.ok_or("no data set")?;
    let mut found = Found { task, store, work: &work, result: None };
    disk::visit_all(&mut found);
    if let Err(error) = found.result.ok_or_else(|| format!("no store {store}"))? {
        work.wrong(task, error);
    }
    println!("done");
    Ok(())
}

/// Nothing comes from the standard input but its end, when nobody is left to read the answer.
fn end_with_parent() {
    let _ = io::stdin().lock().read_to_end(&mut Vec::new());
    process::exit(1);
}

/// A store that waits for something for ever must not stop the whole run.
fn end_in_time(task: &str) {
    thread::sleep(TIME_MAX);
    println!("wrong\t{task}\tstill running after {} minutes", TIME_MAX.as_secs() / 60);
    process::exit(1);
}

struct Found<'a> {
    task: &'a str,
    store: &'a str,
    work: &'a Work,
    result: Option<Result<()>>,
}

impl DiskVisitor for Found<'_> {
    fn visit<S: DiskStore>(&mut self) {
        if S::NAME == self.store {
            self.result = Some(task::<S>(self.task, self.work));
        }
    }
}

fn task<S: DiskStore>(task: &str, work: &Work) -> Result<()> {
    match task {
        durable::PUT => durable::put::<S>(work),
        cold::LOAD => cold::load::<S>(work),
        cold::READ => cold::read::<S>(work),
        cold::RECOVER => cold::recover::<S>(work),
        warm::LOAD => warm::load::<S>(work),
        warm::READ => warm::read::<S>(work),
        sorted::LOAD => sorted::load::<S>(work),
        stall::PUT => stall::put::<S>(work),
        directories::ON_DISK => directories::on_disk::<S>(work),
        directories::IN_MEMORY => directories::in_memory::<S>(work),
        amplify::UPDATE => amplify::update::<S>(work),
        amplify::FILL => amplify::fill::<S>(work),
        amplify::REOPEN => amplify::reopen::<S>(work),
        _ => match cold::confined(task) {
            Some(how) => cold::read_confined::<S>(work, how),
            None => Err(format!("no task {task}").into()),
        },
    }
}

/// Whether this process is a turn.
pub fn is_turn(args: &[String]) -> bool {
    args.first().is_some_and(|word| word == WORKER)
}
