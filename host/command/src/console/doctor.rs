//! The findings of `lemon-session doctor`.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use http::{Response, StatusCode};
use serde::Serialize;
use tokio::{runtime::Handle, sync::Semaphore, task::spawn_blocking, time::timeout};

use super::{
    Console,
    failure::{Failure, Result},
    page::{self, Frame, Place},
    response::{self, Body, link},
};
use crate::{
    doctor::{self, Finding},
    output, storage,
};

/// The time limit of all checks.
const PATIENCE: Duration = Duration::from_secs(30);

/// The checks, with the result of the last time.
pub struct Doctor {
    storage: storage::Args,
    /// One run at a time: it compiles a component.
    turn: Semaphore,
    last: Mutex<Option<Checked>>,
}

/// What was found, and when.
struct Checked {
    at: u64,
    findings: Vec<Finding>,
}

#[derive(Serialize)]
struct Page {
    frame: Frame,
    /// When the checks were run; `None` if never.
    when: Option<String>,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    /// Part of a class's name.
    kind: &'static str,
    status: &'static str,
    check: String,
    found: String,
    advice: Option<String>,
}

impl Doctor {
    pub fn new(storage: storage::Args) -> Self {
        Self { storage, turn: Semaphore::new(1), last: Mutex::default() }
    }

    /// Runs the checks, with the settings as they are in the file now.
    async fn check(&self) -> Result<()> {
        let Ok(_turn) = self.turn.try_acquire() else {
            return Err(Failure::Refused(StatusCode::CONFLICT, "The checks are running already.".to_owned()));
        };
        let storage = self.storage.clone();
        // They compile a component, which would hold up requests on the async threads.
        let run = spawn_blocking(move || Handle::current().block_on(timeout(PATIENCE, doctor::findings(&storage))));
        let findings = run.await.context("the checks have panicked")?;
        let findings = findings.map_err(|_| anyhow!("the checks take longer than {PATIENCE:?}"))??;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Checked { at: output::now(), findings });
        Ok(())
    }
}

pub fn show(console: &Console, message: Option<String>) -> Result<Response<Body>> {
    let last = console.doctor.last.lock().unwrap_or_else(PoisonError::into_inner);
    let row = |Finding { status, check, found, advice }: &Finding| {
        let (kind, status) = match *status {
            "ok" => ("good", "OK"),
            "warning" => ("warning", "Warning"),
            _ => ("bad", "Failure"),
        };
        Row { kind, status, check: check.clone(), found: found.clone(), advice: advice.clone() }
    };
    page::html(
        "doctor.html",
        Page {
            frame: Frame::new("Doctor", Place::Doctor, message),
            when: last.as_ref().map(|checked| output::ago(checked.at, output::now())),
            rows: last.as_ref().map(|checked| checked.findings.iter().map(row).collect()).unwrap_or_default(),
        },
    )
}

pub async fn run(console: &Console) -> Result<Response<Body>> {
    console.doctor.check().await?;
    Ok(response::redirect(&link("doctor", &[])))
}
