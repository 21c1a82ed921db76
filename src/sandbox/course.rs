//! Work that is held up, behind a lost answer or before a late one: where, until when, and where it dies.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Where in the work on a chunk it is held up; see [`Fault::go_on_behind`](super::Fault::go_on_behind).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The offset was compared with the recorded size; nothing is written yet.
    Append,
    /// The bytes are written; the size is not recorded and the file not ready.
    Record,
}

/// Something that is opened once: by a test when work or an answer that is held up may go on, or for a test when work
/// is done.
#[derive(Debug, Clone, Default)]
pub struct Gate(CancellationToken);

impl Gate {
    /// A closed one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets through whoever waits and whoever comes later.
    pub fn open(&self) {
        self.0.cancel();
    }

    /// Waits until it is open.
    pub async fn opened(&self) {
        self.0.cancelled().await;
    }
}

/// How long work or an answer is held up.
#[derive(Debug, Clone)]
pub(super) enum Until {
    Elapsed(Duration),
    Open(Gate),
}

impl Until {
    pub(super) async fn wait(&self) {
        match self {
            Self::Elapsed(delay) => tokio::time::sleep(*delay).await,
            Self::Open(gate) => gate.opened().await,
        }
    }
}

/// What happens to the work on a request behind a lost answer.
#[derive(Debug, Clone)]
pub(super) enum Fate {
    /// It is held up once, at this stage.
    Held { at: Stage, until: Until },
    /// It dies when the bytes are written and before the file is ready; the size may have been recorded.
    Dies { recorded: bool },
}

/// A fate on its way through the work, as an extension of the request.
#[derive(Debug, Clone)]
pub(super) struct Course {
    pub(super) fate: Fate,
    /// Opens when the work has come to where it is held up, or to its end. The answer is lost no sooner, so that the
    /// next request meets the state that the fault promised.
    reached: Gate,
}

impl Course {
    pub(super) fn new(fate: Fate) -> Self {
        Self { fate, reached: Gate::new() }
    }

    /// Waits, if this is where the work is held up.
    pub(super) async fn pass(&self, stage: Stage) {
        if let Fate::Held { at, until } = &self.fate
            && *at == stage
        {
            self.reached.open();
            until.wait().await;
        }
    }

    /// The work is at its end.
    pub(super) fn end(&self) {
        self.reached.open();
    }

    /// Waits until the client may lose its answer.
    pub(super) async fn reached(&self) {
        self.reached.opened().await;
    }
}
