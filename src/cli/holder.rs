//! Who has the state folder: nobody, so that a command can open the journal, or a process that it can ask.

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::exit::CommandError;
use crate::journal::{Journal, JournalError};
use crate::status::Socket;

/// A process that starts or ends has the folder for a moment and does not answer, and so has a command that only looks.
const LONGEST_SILENCE: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

pub(super) enum Holder {
    /// The journal is ours while this lives.
    Nobody(Journal),
    /// A service, or an upload by hand.
    Process(Socket),
}

impl Holder {
    /// Opens the journal where nobody answers: what has the folder keeps it, and a service may be about to start. What was
    /// found damaged is said, however the command's result looks.
    ///
    /// # Errors
    /// When the journal cannot be opened, or whoever has it does not answer.
    pub async fn of(state_dir: &Path) -> Result<Self, CommandError> {
        let begun = Instant::now();
        let socket = Socket::open(state_dir)?;
        loop {
            let silence = match socket.identify().await {
                Ok(_) => return Ok(Self::Process(socket)),
                Err(silence) => silence,
            };
            match Journal::open(state_dir) {
                Ok(journal) => {
                    journal.notices().iter().for_each(|notice| eprintln!("flow-ingest: {notice}"));
                    return Ok(Self::Nobody(journal));
                }
                Err(JournalError::InUse { .. }) if begun.elapsed() < LONGEST_SILENCE => {
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                Err(JournalError::InUse { .. }) => return Err(silence.into()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
