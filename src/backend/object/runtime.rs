//! The thread on which requests run: the crate that makes them is asynchronous, and a backend is not.
//!
//! One thread is enough, because all that it does is to wait for many answers. It ends when the worker is
//! dropped. A call may come from anywhere, also from inside of another runtime.

#![forbid(unsafe_code)]

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::thread::JoinHandle;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Worker {
    jobs: Option<UnboundedSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    pub(super) fn start() -> io::Result<Worker> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (jobs, mut arriving) = unbounded_channel::<Job>();
        let work = move || {
            runtime.block_on(async move {
                while let Some(job) = arriving.recv().await {
                    // Nobody waits for the handle: whoever asked is told through a channel of his own.
                    drop(tokio::spawn(job));
                }
            });
        };
        let thread = std::thread::Builder::new().name("spinney-object".to_string()).spawn(work)?;
        Ok(Worker { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Runs a job and waits for what comes of it.
    pub(super) fn run<T: Send + 'static>(
        &self,
        job: impl Future<Output = io::Result<T>> + Send + 'static,
    ) -> io::Result<T> {
        let ended = || io::Error::other("the thread that makes requests has ended");
        let (answer, answered) = std::sync::mpsc::channel();
        let job: Job = Box::pin(async move {
            // Whoever asked has not gone: he waits below.
            let _ = answer.send(job.await);
        });
        self.jobs.as_ref().ok_or_else(ended)?.send(job).map_err(|_| ended())?;
        answered.recv().map_err(|_| ended())?
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // If it has panicked, that was told where it happened.
            let _ = thread.join();
        }
    }
}
