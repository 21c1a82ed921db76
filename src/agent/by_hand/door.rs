//! The way into the journal: our own, or through the service that holds the state folder.

use std::io;
use std::time::Duration;

use tokio::time::Instant;

use super::{ByHandError, Settings};
use crate::journal::{Journal, JournalError};
use crate::observation::Moment;
use crate::sample::{Sample, SampleId};
use crate::status::{HandedOver, SampleStatus, Socket, SocketError};

/// How often it is looked at whether the state folder is free.
const LOOK: Duration = Duration::from_millis(300);

pub(super) enum Door {
    Own(Journal),
    Service { socket: Socket, base_url: String },
}

impl Door {
    /// Opens the state folder. Where a service has it, that is the way; where another upload by hand has it, that is
    /// waited for.
    pub async fn open(settings: &Settings) -> Result<Self, ByHandError> {
        let begun = Instant::now();
        let mut is_said = false;
        loop {
            let in_use = match Journal::open(&settings.state_dir) {
                Ok(journal) => return Ok(Self::Own(journal)),
                Err(error @ JournalError::InUse { .. }) => error,
                Err(JournalError::Open { dir, source }) if source.kind() == io::ErrorKind::PermissionDenied => {
                    return Err(ByHandError::NotOurs { dir });
                }
                Err(error) => return Err(error.into()),
            };
            let socket = Socket::open(&settings.state_dir)?;
            if let Ok(identity) = socket.identify().await
                && identity.takes_uploads
            {
                if settings.is_server_named && identity.base_url != settings.flow.base_url {
                    let (service, named) = (identity.base_url, settings.flow.base_url.clone());
                    return Err(ByHandError::OtherServer { service, named });
                }
                return Ok(Self::Service { socket, base_url: identity.base_url });
            }
            if begun.elapsed() >= settings.give_up_after {
                return Err(in_use.into());
            }
            if !is_said {
                tracing::warn!("waiting for another upload that uses the state folder ({in_use})");
                is_said = true;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    pub async fn submit(&self, samples: &[Sample]) -> Result<Vec<SampleStatus>, ByHandError> {
        match self {
            Self::Own(journal) => {
                let now = Moment::now();
                let records = journal.submit(samples.to_vec()).await?;
                Ok(records.iter().map(|record| SampleStatus::of(record, now)).collect())
            }
            Self::Service { socket, .. } => Ok(socket.hand_over(samples).await?.uploads),
        }
    }

    pub async fn is_done(&self, id: &SampleId) -> Result<bool, ByHandError> {
        let known = self.look(std::slice::from_ref(id)).await?.uploads;
        Ok(known.first().is_some_and(|status| status.state == "done"))
    }

    /// What is known of these; what is not known is left out.
    pub async fn look(&self, ids: &[SampleId]) -> Result<HandedOver, ByHandError> {
        match self {
            Self::Own(journal) => {
                let (journal, ids) = (journal.clone(), ids.to_vec());
                let read = move || {
                    let now = Moment::now();
                    let mut uploads = Vec::new();
                    for id in ids {
                        uploads.extend(journal.record(&id)?.map(|record| SampleStatus::of(&record, now)));
                    }
                    let condition = journal.trouble().map(|trouble| trouble.reason);
                    Ok::<_, JournalError>(HandedOver { uploads, condition })
                };
                Ok(tokio::task::spawn_blocking(read).await.expect("reading does not panic")?)
            }
            Self::Service { socket, .. } => socket.look_at(ids).await.map_err(|error| match error {
                SocketError::Ask { reason, .. } => ByHandError::ServiceGone { reason },
                error => error.into(),
            }),
        }
    }
}
