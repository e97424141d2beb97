//! One store's turn as a process of its own, seen from outside: its command line, its answer, its end.
//!
//! The answer is text, a line each: `value`, the metric and the number; `wrong`, the metric and what was
//! wrong; `ready`, and then it waits for its end; `done`, and there is no more.

#![forbid(unsafe_code)]

use crate::measure;
use crate::stores::Result;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The word of the command line that makes a process a turn.
pub const WORKER: &str = "worker";

const SIGKILL: i32 = 9;

#[derive(Default, Debug, PartialEq)]
pub struct Answer {
    pub values: Vec<(String, f64)>,
    pub wrong: Vec<(String, String)>,
}

pub struct Turn {
    process: Child,
    lines: BufReader<ChildStdout>,
    /// Nothing is said here; that it is open tells the process that somebody listens.
    _listens: Option<ChildStdin>,
}

impl Turn {
    pub fn start(args: &[String]) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(WORKER).args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let lines = BufReader::new(process.stdout.take().ok_or("no pipe")?);
        let listens = process.stdin.take();
        Ok(Self { process, lines, _listens: listens })
    }

    /// The whole answer.
    pub fn finish(mut self) -> Result<Answer> {
        let answer = self.read("done");
        let status = self.process.wait()?;
        let answer = answer?;
        if status.success() { Ok(answer) } else { Err(format!("its process ended with {status}").into()) }
    }

    /// The whole answer; none if the system has killed it, as it does with who takes too much memory.
    pub fn finish_unless_killed(mut self) -> Result<Option<Answer>> {
        let answer = self.read("done");
        let status = self.process.wait()?;
        measure::clear_after(self.process.id());
        match (status.success(), status.signal()) {
            (true, _) => answer.map(Some),
            (false, Some(SIGKILL)) => Ok(None),
            (false, _) => Err(format!("its process ended with {status}").into()),
        }
    }

    /// The answer up to the moment when it is ready; then it is killed, as it stands.
    pub fn kill_when_ready(mut self) -> Result<Answer> {
        let answer = self.read("ready");
        self.process.kill()?;
        self.process.wait()?;
        answer
    }

    fn read(&mut self, last: &str) -> Result<Answer> {
        let mut answer = Answer::default();
        let mut line = String::new();
        while self.lines.read_line(&mut line)? > 0 {
            if line.trim_end() == last {
                return Ok(answer);
            }
            answer.add(line.trim_end())?;
            line.clear();
        }
        let wrong = answer.wrong.iter().map(|(metric, wrong)| format!("; {metric}: {wrong}"));
        Err(format!("its process ended early{}", wrong.collect::<String>()).into())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Answer {
    fn add(&mut self, line: &str) -> Result<()> {
        let mut words = line.splitn(3, '\t');
        match (words.next(), words.next(), words.next()) {
            (Some("value"), Some(metric), Some(number)) => {
                self.values.push((metric.to_owned(), number.parse()?));
            }
            (Some("wrong"), Some(metric), Some(text)) => {
                self.wrong.push((metric.to_owned(), text.to_owned()))
            }
            // A store may say something, too.
            _ => eprintln!("{line}"),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_line_by_line() {
        let mut answer = Answer::default();
        answer.add("value\tget, p50\t12.5").unwrap();
        answer.add("wrong\tlist\ttwo\tchildren").unwrap();
        assert!(answer.add("value\tget\tmany").is_err());
        assert_eq!(answer.values, [("get, p50".to_owned(), 12.5)]);
        assert_eq!(answer.wrong, [("list".to_owned(), "two\tchildren".to_owned())]);
    }
}
