//! Whose samples a state folder holds: what was begun under one account is not gone on with under another.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::flow::{Client, CredentialSource, Error, Me};
use crate::journal::{Journal, JournalError};

/// The account that a state folder belongs to, on one server. Clones are one.
#[derive(Clone)]
pub struct Account {
    journal: Journal,
    server: String,
    state_dir: PathBuf,
    /// Whether the next log-in may be anybody's: once, since a later change was not meant.
    takes_any: Arc<AtomicBool>,
}

/// Why a log-in does not let us upload.
#[derive(Debug, thiserror::Error)]
pub enum LogInError {
    #[error(transparent)]
    Flow(#[from] Error),
    #[error(
        "the credentials are those of {found}, and the state folder {} belongs to {recorded} on {server}; use the \
         credentials of {recorded}, or another state folder, or let {found} go on with it by --accept-account",
        state_dir.display()
    )]
    OtherAccount { found: String, recorded: String, server: String, state_dir: PathBuf },
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl LogInError {
    /// Whether the credentials are at fault, rather than the way to the server.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Flow(Error::Credentials(_)) | Self::OtherAccount { .. } => true,
            Self::Flow(Error::Refused(api)) => matches!(api.status, 400 | 401 | 403 | 422),
            Self::Flow(_) | Self::Journal(_) => false,
        }
    }
}

impl Account {
    /// `accepts_another`: the first log-in makes the state folder its account's, whoever's it was.
    pub fn new(journal: Journal, server: &str, state_dir: PathBuf, accepts_another: bool) -> Self {
        Self { journal, server: server.to_owned(), state_dir, takes_any: Arc::new(AtomicBool::new(accepts_another)) }
    }

    /// Logs in, and sees to it that this account may go on with what the state folder holds.
    ///
    /// # Errors
    /// What the log-in meets, or that it is another's.
    pub async fn log_in(&self, client: &Client, source: &CredentialSource) -> Result<(), LogInError> {
        source.log_in(client).await?;
        self.ask(client).await
    }

    /// Asks Flow who we are, the lightest question and the test of a token: a bad one is taken without a word by the
    /// search endpoints.
    pub(super) async fn ask(&self, client: &Client) -> Result<(), LogInError> {
        let me = match client.me().await {
            // A server without the question cannot answer it; the uploads will tell.
            Err(error) if error.status() == Some(404) => return Ok(()),
            me => me?,
        };
        self.admit(me).await
    }

    async fn admit(&self, me: Me) -> Result<(), LogInError> {
        // Where Flow names nobody there is nothing to hold on to.
        let Some(found) = me.username.or(me.id) else { return Ok(()) };
        let recorded = self.journal.account(&self.server)?;
        let logged_in = || self.journal.logged_in_as(&found);
        let takes_any = self.takes_any.swap(false, Ordering::Relaxed);
        match recorded {
            Some(recorded) if recorded == found => {
                logged_in();
                return Ok(());
            }
            Some(recorded) if !takes_any => {
                let (server, state_dir) = (self.server.clone(), self.state_dir.clone());
                return Err(LogInError::OtherAccount { found, recorded, server, state_dir });
            }
            Some(recorded) => tracing::warn!(found, recorded, "the state folder goes over to another account"),
            None => {}
        }
        logged_in();
        Ok(self.journal.set_account(&self.server, &found).await?)
    }
}
