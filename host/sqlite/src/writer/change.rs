//! A change in the queue of the writer.

use std::time::Instant;

use lemon_session_store::{Error, Result};
use tokio::sync::oneshot;

use super::super::changes::{Changed, Changes};

/// A change of any answer type.
pub trait Queued: Send {
    /// Until when it may wait for other processes.
    fn deadline(&self) -> Instant;
    /// Runs its statements, within a transaction.
    fn make(&mut self, changes: Changes<'_>) -> rusqlite::Result<()>;
    /// Forgets the answer, because the transaction was undone.
    fn undo(&mut self);
    /// Tells the caller, after the commit.
    fn answer(self: Box<Self>);
    /// Tells the caller that it failed.
    fn fail(self: Box<Self>, error: Error);
}

/// A change whose answer is a `T`.
pub struct Change<Work, T> {
    work: Work,
    made: Option<Result<T>>,
    to: oneshot::Sender<Result<T>>,
    deadline: Instant,
}

impl<Work, T> Change<Work, T> {
    /// A change that is not made yet.
    pub fn new(work: Work, to: oneshot::Sender<Result<T>>, deadline: Instant) -> Self {
        Self { work, made: None, to, deadline }
    }
}

// A caller that was dropped has no use for its answer: `send` may fail.
impl<Work, T> Queued for Change<Work, T>
where
    Work: Fn(Changes<'_>) -> Changed<T> + Send,
    T: Send,
{
    fn deadline(&self) -> Instant {
        self.deadline
    }

    fn make(&mut self, changes: Changes<'_>) -> rusqlite::Result<()> {
        self.made = Some((self.work)(changes)?);
        Ok(())
    }

    fn undo(&mut self) {
        self.made = None;
    }

    fn answer(self: Box<Self>) {
        if let Some(answer) = self.made {
            let _ = self.to.send(answer);
        }
    }

    fn fail(self: Box<Self>, error: Error) {
        let _ = self.to.send(Err(error));
    }
}
