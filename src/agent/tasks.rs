//! Tasks by name, so that one that ends before its time is named.

use std::collections::HashMap;
use std::future::Future;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::AgentError;

/// The agent's tasks, by name.
#[derive(Default)]
pub(super) struct Tasks {
    set: JoinSet<Result<(), AgentError>>,
    names: HashMap<tokio::task::Id, String>,
}

impl Tasks {
    /// Starts a task that ends well only after `stop`.
    pub fn spawn(
        &mut self,
        name: String,
        stop: &CancellationToken,
        task: impl Future<Output = Result<(), AgentError>> + Send + 'static,
    ) {
        let stop = stop.clone();
        let task_name = name.clone();
        let handle = self.set.spawn(async move {
            match task.await {
                Ok(()) if !stop.is_cancelled() => Err(AgentError::Task { task: task_name, reason: None }),
                ended => ended,
            }
        });
        self.names.insert(handle.id(), name);
    }

    /// Waits for a task to fail.
    pub async fn first_to_end(&mut self) -> AgentError {
        loop {
            match self.set.join_next_with_id().await {
                Some(ended) => {
                    if let Err(error) = self.outcome(ended) {
                        return error;
                    }
                }
                None => std::future::pending().await,
            }
        }
    }

    /// Waits for all to end.
    pub async fn drain(&mut self) -> Result<(), AgentError> {
        let mut first = Ok(());
        while let Some(ended) = self.set.join_next_with_id().await {
            first = first.and(self.outcome(ended));
        }
        first
    }

    fn outcome(&mut self, ended: Ended) -> Result<(), AgentError> {
        let id = ended.as_ref().map_or_else(tokio::task::JoinError::id, |(id, _)| *id);
        let task = self.names.remove(&id).unwrap_or_default();
        match ended {
            Ok((_, ended)) => ended.inspect_err(|error| tracing::error!(task, %error, "a task cannot go on")),
            Err(panic) => Err(AgentError::Task { task, reason: Some(panic.to_string()) }),
        }
    }
}

/// Does work that blocks; should it panic, the error names it.
pub(super) async fn blocking<T: Send + 'static>(
    task: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, AgentError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|panic| AgentError::Task { task: task.to_owned(), reason: Some(panic.to_string()) })
}

type Ended = Result<(tokio::task::Id, Result<(), AgentError>), tokio::task::JoinError>;
