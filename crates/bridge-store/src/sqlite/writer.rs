//! The one thread that writes to SQLite (DESIGN section 5).
//!
//! It takes what is queued, runs one closure after the other and commits the group with one fsync. Nobody is answered
//! before the COMMIT, refused closures included: they may have seen what the group had written so far. After the answers a
//! log that has become long is moved into the database. What can go wrong:
//!
//! - A closure fails or panics: if it had written something by then, the group is rolled back and runs again, each closure
//!   under a savepoint, of which the failing one's is rolled back. Savepoints cost a tenth of the writer's time, and most
//!   refusals come before the first row.
//! - SQLite drops the whole group (disk full, no memory): `is_autocommit()` is true after the closure. It alone is refused;
//!   the others run again, each in a transaction of its own.
//! - A COMMIT fails, or the disk does: what is on it is unknown. All waiters get `Unavailable`, all later writes are
//!   refused, and the server exits; opening the database again recovers it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::thread::JoinHandle;

use rusqlite::Connection;
use rusqlite::hooks::Wal;
use tokio::sync::{mpsc, oneshot, watch};

use super::idle::Idle;
use super::{CHECKPOINT_PAGES, Role};
use crate::driver::Session;
use crate::error::StoreError;
use crate::{Db, Shared, Tx};

/// How many closures share a commit at most.
const GROUP_LIMIT: usize = 64;

/// How many closures wait before `write` itself has to wait.
const QUEUE_LIMIT: usize = 1024;

/// A closure with its caller, whatever its types.
trait Job: Send {
    /// Runs the closure and keeps its result; true if the result is a success.
    fn run(&mut self, tx: &mut Tx<'_>) -> bool;
    /// Forgets the result.
    fn forget(&mut self);
    /// Gives the caller the result.
    fn answer(self: Box<Self>);
    /// Gives the caller an error instead.
    fn refuse(self: Box<Self>, error: StoreError);
}

struct Call<F, T, E> {
    closure: F,
    result: Option<Result<T, E>>,
    reply: oneshot::Sender<Reply<F, T, E>>,
}

/// The result, and the closure with all it holds, so that its caller takes it apart and not the one thread that writes.
type Reply<F, T, E> = (Result<T, E>, Option<F>);

impl<F, T, E> Job for Call<F, T, E>
where
    F: Fn(&mut Tx<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> bool {
        let result = catch_unwind(AssertUnwindSafe(|| (self.closure)(tx)))
            .unwrap_or_else(|panic| Err(StoreError::Internal(format!("a write panicked: {}", said(&*panic))).into()));
        let is_success = result.is_ok();
        self.result = Some(result);
        is_success
    }

    fn forget(&mut self) {
        self.result = None;
    }

    fn answer(self: Box<Self>) {
        let result = self.result.unwrap_or_else(|| Err(StoreError::Internal("a write was not run".into()).into()));
        // Who no longer waits does not want the answer: the write stands all the same.
        drop(self.reply.send((result, Some(self.closure))));
    }

    fn refuse(self: Box<Self>, error: StoreError) {
        drop(self.reply.send((Err(error.into()), None)));
    }
}

/// Tells who asked for the close that it is done; who no longer waits need not know.
fn confirm(closed: oneshot::Sender<()>) {
    let _: Result<(), ()> = closed.send(());
}

/// What a panic said.
fn said(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

enum Message {
    Run(Box<dyn Job>),
    Close(oneshot::Sender<()>),
}

/// What the writer has done so far.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) writes: AtomicU64,
    pub(crate) commits: AtomicU64,
}

/// The door to the writing thread.
pub(crate) struct Writer {
    queue: mpsc::Sender<Message>,
    failure: watch::Receiver<Option<String>>,
    pub(crate) counters: Arc<Counters>,
    /// Joined when the last handle goes, so that the database is closed by then.
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread on a connection that is set up for writing. Whoever only visits leaves the log as it is at
    /// the end: it is the other process's.
    pub(crate) fn start(
        mut connection: Connection,
        shared: Arc<Shared>,
        idle: Arc<Idle>,
        role: Role,
    ) -> Result<Self, StoreError> {
        let (queue, messages) = mpsc::channel(QUEUE_LIMIT);
        let (report, failure) = watch::channel(None);
        let counters = Arc::new(Counters::default());
        let log_pages = Arc::new(AtomicI32::new(0));
        let counted = Arc::clone(&log_pages);
        connection.wal_hook(Some(move |_: &mut Wal, pages| {
            counted.store(pages, Ordering::Relaxed);
            Ok(())
        }))?;
        let worker =
            Worker { connection, shared, idle, role, messages, report, counters: Arc::clone(&counters), log_pages };
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || worker.work())
            .map_err(|error| StoreError::Unavailable(format!("no thread for the writer: {error}")))?;
        Ok(Self { queue, failure, counters, thread: Some(thread) })
    }

    /// Queues the closure and waits until its group is committed.
    pub(crate) async fn write<F, T, E>(&self, closure: F) -> Result<T, E>
    where
        F: Fn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Call { closure, result: None, reply });
        if self.queue.send(Message::Run(job)).await.is_err() {
            return Err(self.refusal().into());
        }
        let (result, _closure) = answer.await.unwrap_or_else(|_| (Err(self.refusal().into()), None));
        result
    }

    /// Why nothing can be written any more.
    pub(crate) fn failure(&self) -> Option<String> {
        self.failure.borrow().clone()
    }

    /// Resolves when the writer has failed, with the reason; never if it is closed in good order.
    pub(crate) fn failed(&self) -> impl Future<Output = String> + Send + 'static {
        let mut failure = self.failure.clone();
        async move {
            let reason = failure.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
            match reason {
                Some(reason) => reason,
                None => std::future::pending().await,
            }
        }
    }

    /// Writes what is queued, then stops.
    pub(crate) async fn close(&self) {
        let (closed, waiting) = oneshot::channel();
        if self.queue.send(Message::Close(closed)).await.is_ok() {
            // The thread answers or is gone: both mean closed.
            drop(waiting.await);
        }
    }

    fn refusal(&self) -> StoreError {
        StoreError::Unavailable(self.failure().unwrap_or_else(|| "it is closed".into()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Closing the queue ends the thread.
        let (closed, _) = mpsc::channel(1);
        self.queue = closed;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("The store's writer panicked");
        }
    }
}

/// How a group or a single write went for the thread.
enum Course {
    /// Every caller has been answered.
    GoOn,
    /// The database cannot be trusted any more.
    Stop(String),
}

/// The state of the thread.
struct Worker {
    connection: Connection,
    shared: Arc<Shared>,
    idle: Arc<Idle>,
    role: Role,
    messages: mpsc::Receiver<Message>,
    report: watch::Sender<Option<String>>,
    counters: Arc<Counters>,
    /// How long the log is.
    log_pages: Arc<AtomicI32>,
}

impl Worker {
    fn work(mut self) {
        while let Some(message) = self.messages.blocking_recv() {
            let first = match message {
                Message::Run(job) => job,
                Message::Close(closed) => return self.close(Some(closed)),
            };
            let mut closed = None;
            if let Course::Stop(reason) = self.group(first, &mut closed) {
                return self.fail(&reason);
            }
            if closed.is_some() {
                return self.close(closed);
            }
        }
        self.close(None);
    }

    /// Runs the first job and those that are queued by then, and commits them together.
    fn group(&mut self, first: Box<dyn Job>, closed: &mut Option<oneshot::Sender<()>>) -> Course {
        if let Err(error) = self.statement("BEGIN IMMEDIATE") {
            return self.not_begun(vec![first], &error);
        }
        let mut done: Vec<Box<dyn Job>> = Vec::new();
        let mut next = Some(first);
        let mut succeeded = false;
        while let Some(mut job) = next.take() {
            let before = self.connection.total_changes();
            let (is_success, fatal) = self.run_one(&mut *job);
            if let Some(reason) = fatal {
                done.push(job);
                return self.stop(done, reason);
            }
            if self.connection.is_autocommit() {
                return self.dropped(job, done);
            }
            let left_something = !is_success && self.connection.total_changes() != before;
            succeeded |= is_success;
            done.push(job);
            if left_something && done.len() > 1 {
                return self.apart(done);
            }
            // A first job that failed halfway is taken back alone.
            if done.len() < GROUP_LIMIT && closed.is_none() && !left_something {
                next = match self.messages.try_recv() {
                    Ok(Message::Run(job)) => Some(job),
                    Ok(Message::Close(waiting)) => {
                        *closed = Some(waiting);
                        None
                    }
                    Err(_) => None,
                };
            }
        }
        self.end(done, succeeded)
    }

    /// A job failed after it had written something: the group is rolled back, and its jobs run again in one transaction,
    /// each under a savepoint to go back to.
    fn apart(&mut self, jobs: Vec<Box<dyn Job>>) -> Course {
        if let Err(error) = self.statement("ROLLBACK") {
            return self.stop(jobs, format!("ROLLBACK failed: {error}"));
        }
        if let Err(error) = self.statement("BEGIN IMMEDIATE") {
            return self.not_begun(jobs, &error);
        }
        let mut done: Vec<Box<dyn Job>> = Vec::with_capacity(jobs.len());
        let mut jobs = jobs.into_iter();
        let mut succeeded = false;
        while let Some(mut job) = jobs.next() {
            job.forget();
            let (is_success, fatal) = self.run_under_savepoint(&mut *job);
            if let Some(reason) = fatal {
                return self.stop(done.into_iter().chain([job]).chain(jobs).collect(), reason);
            }
            if self.connection.is_autocommit() {
                return self.dropped(job, done.into_iter().chain(jobs).collect());
            }
            succeeded |= is_success;
            done.push(job);
        }
        self.end(done, succeeded)
    }

    /// Ends the transaction and answers. Without a success there is nothing to keep; COMMIT would be as cheap, but could
    /// still fail.
    fn end(&self, done: Vec<Box<dyn Job>>, succeeded: bool) -> Course {
        let end = if succeeded { "COMMIT" } else { "ROLLBACK" };
        match self.statement(end) {
            Ok(()) => {
                if succeeded {
                    self.idle.committed();
                }
                self.count(done.len(), succeeded);
                for job in done {
                    job.answer();
                }
                if succeeded { self.move_log() } else { Course::GoOn }
            }
            Err(error) => self.stop(done, format!("{end} failed: {error}")),
        }
    }

    /// Moves a long log into the database. Who waits for a read lets go of it before and after, so that the next commit finds
    /// nobody who needs the log and begins it anew; whoever reads just then is met by the commit after that.
    fn move_log(&self) -> Course {
        if self.role != Role::Serves || self.log_pages.load(Ordering::Relaxed) < CHECKPOINT_PAGES {
            return Course::GoOn;
        }
        match self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
            Ok(()) => self.idle.look_away(),
            Err(error) if crate::driver::decide(&error).1 => {
                return self.stop(Vec::new(), format!("moving the log failed: {error}"));
            }
            Err(error) => {
                tracing::warn!(%error, "The log could not be moved into the database; a later commit does it")
            }
        }
        Course::GoOn
    }

    /// Runs a closure. Says whether it succeeded, and what makes going on impossible.
    fn run_one(&self, job: &mut dyn Job) -> (bool, Option<String>) {
        let session = Session::new(&self.connection, None);
        let mut tx = Tx::new(Db::new(session, Arc::clone(&self.shared)));
        let is_success = job.run(&mut tx);
        (is_success, tx.session().fatal())
    }

    /// Runs a closure so that nothing is left of it if it fails.
    fn run_under_savepoint(&self, job: &mut dyn Job) -> (bool, Option<String>) {
        if let Err(error) = self.statement("SAVEPOINT write") {
            return (false, Some(format!("SAVEPOINT failed: {error}")));
        }
        let (is_success, fatal) = self.run_one(job);
        if fatal.is_some() || self.connection.is_autocommit() {
            return (is_success, fatal);
        }
        let ended = if is_success {
            self.statement("RELEASE write")
        } else {
            self.statement("ROLLBACK TO write").and_then(|()| self.statement("RELEASE write"))
        };
        (is_success, ended.err().map(|error| format!("ending a savepoint failed: {error}")))
    }

    /// SQLite rolled the group back under `culprit`. The others run again, each alone, those still queued as usual.
    fn dropped(&mut self, culprit: Box<dyn Job>, others: Vec<Box<dyn Job>>) -> Course {
        tracing::warn!(again = others.len(), "The database dropped a group of writes, the others run again one by one");
        culprit.refuse(StoreError::Unavailable("the disk is full or memory is short".into()));
        let mut others = others.into_iter();
        while let Some(mut job) = others.next() {
            job.forget();
            if let Course::Stop(reason) = self.alone(job) {
                for job in others {
                    job.refuse(StoreError::Unavailable(reason.clone()));
                }
                return Course::Stop(reason);
            }
        }
        Course::GoOn
    }

    /// Runs and commits one job in a transaction of its own.
    fn alone(&mut self, mut job: Box<dyn Job>) -> Course {
        if let Err(error) = self.statement("BEGIN IMMEDIATE") {
            return self.not_begun(vec![job], &error);
        }
        let (is_success, fatal) = self.run_one(&mut *job);
        if let Some(reason) = fatal {
            return self.stop(vec![job], reason);
        }
        if self.connection.is_autocommit() {
            job.refuse(StoreError::Unavailable("the disk is full or memory is short".into()));
            return Course::GoOn;
        }
        self.end(vec![job], is_success)
    }

    /// Nothing was begun, so nothing is in doubt: another process may hold the database for a moment.
    fn not_begun(&self, jobs: Vec<Box<dyn Job>>, error: &rusqlite::Error) -> Course {
        let (decision, is_fatal) = crate::driver::decide(error);
        for job in jobs {
            job.refuse(decision.clone());
        }
        if is_fatal { Course::Stop(format!("BEGIN failed: {error}")) } else { Course::GoOn }
    }

    fn stop(&self, jobs: Vec<Box<dyn Job>>, reason: String) -> Course {
        // First the flag, then the answers: who is refused must find the store failed.
        self.report.send_replace(Some(reason.clone()));
        for job in jobs {
            job.refuse(StoreError::Unavailable(reason.clone()));
        }
        Course::Stop(reason)
    }

    fn statement(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(drop)
    }

    fn count(&self, writes: usize, committed: bool) {
        self.counters.writes.fetch_add(writes as u64, Ordering::Relaxed);
        self.counters.commits.fetch_add(u64::from(committed), Ordering::Relaxed);
    }

    /// Refuses everything that is queued, now and later.
    fn fail(mut self, reason: &str) {
        tracing::error!(reason, "The store cannot write any more and has to be opened again");
        self.report.send_replace(Some(reason.to_owned()));
        self.messages.close();
        while let Some(message) = self.messages.blocking_recv() {
            match message {
                Message::Run(job) => job.refuse(StoreError::Unavailable(reason.to_owned())),
                Message::Close(closed) => confirm(closed),
            }
        }
    }

    /// Moves the log into the database, if it is ours, so that the next start has nothing to recover.
    fn close(mut self, closed: Option<oneshot::Sender<()>>) {
        self.messages.close();
        self.idle.look_away();
        if self.role == Role::Serves
            && let Err(error) = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        {
            tracing::warn!(%error, "The log could not be moved into the database; the next start does it");
        }
        drop(self.connection);
        if let Some(closed) = closed {
            confirm(closed);
        }
        while let Some(message) = self.messages.blocking_recv() {
            match message {
                Message::Run(job) => job.refuse(StoreError::Unavailable("it is closed".into())),
                Message::Close(closed) => confirm(closed),
            }
        }
    }
}

#[cfg(test)]
mod tests;
