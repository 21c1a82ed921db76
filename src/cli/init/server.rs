//! What Flow is asked before a proposal is written: the types of samples, and what must be said of each.

use std::time::Duration;

use super::super::Globals;
use super::super::connection::{Connection, ConnectionArguments};
use super::super::exit::CommandError;
use crate::flow::{CredentialsError, Error, MetadataAttribute, SampleType};

/// How long one request, and all of them together, may take: nobody waits for a proposal.
const REQUEST: Duration = Duration::from_secs(5);
const ALL: Duration = Duration::from_secs(15);

/// What came of asking.
#[derive(Debug)]
pub(super) enum Asked {
    /// There are no credentials, so nothing was sent.
    NoCredentials,
    /// Why there is no answer.
    Failed(String),
    Answered {
        types: Vec<SampleType>,
        attributes: Vec<MetadataAttribute>,
    },
}

/// Where Flow is, and what it answered.
#[derive(Debug)]
pub(super) struct Server {
    pub base_url: String,
    /// Whether a flag or the environment says where it is, so that the config has to as well.
    pub is_named: bool,
    pub asked: Asked,
}

impl Server {
    /// Asks the one server that flags, environment or a config name, and only with credentials.
    ///
    /// # Errors
    /// An address that is none, and a config with mistakes. A server that does not answer is none.
    pub async fn ask(arguments: &ConnectionArguments, globals: &Globals) -> Result<Self, CommandError> {
        let mut connection = Connection::resolve_without_config(arguments, globals)?;
        connection.flow.client.request_timeout = REQUEST;
        connection.flow.client.connection_retries = 0;
        let asked = match tokio::time::timeout(ALL, answers(&connection)).await {
            Ok(Ok((types, attributes))) => Asked::Answered { types, attributes },
            Ok(Err(CommandError::LogIn(Error::Credentials(CredentialsError::Missing)))) => Asked::NoCredentials,
            Ok(Err(error)) => Asked::Failed(error.to_string()),
            Err(_) => Asked::Failed(format!("no answer within {} seconds", ALL.as_secs())),
        };
        Ok(Self { base_url: connection.flow.base_url, is_named: connection.is_named, asked })
    }

    pub fn types(&self) -> &[SampleType] {
        if let Asked::Answered { types, .. } = &self.asked { types } else { &[] }
    }

    pub fn attributes(&self) -> &[MetadataAttribute] {
        if let Asked::Answered { attributes, .. } = &self.asked { attributes } else { &[] }
    }
}

async fn answers(connection: &Connection) -> Result<(Vec<SampleType>, Vec<MetadataAttribute>), CommandError> {
    // Without credentials, this ends before anything is sent.
    let client = connection.log_in().await?;
    let types = client.samples().get_types().await?;
    let attributes = client.samples().get_metadata_attributes().await?;
    Ok((types, attributes))
}
