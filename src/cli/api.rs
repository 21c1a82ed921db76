//! `flow-ingest api …`: any request of the API, for what has no command. The answer goes to stdout byte for byte; there
//! is no way to delete anything.

use std::io::Read;

use clap::{Args, Subcommand};

use super::connection::{Connection, ConnectionArguments};
use super::exit::{CommandError, Exit};
use super::{Globals, bars, logging, output};
use crate::flow::Error;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    method: Method,
}

#[derive(Debug, Subcommand)]
enum Method {
    /// Read; without credentials, as nobody
    Get(Target),
    /// Send a JSON document
    Post(Sending),
    /// Change something with a JSON document
    Patch(Sending),
}

#[derive(Debug, Args)]
struct Target {
    /// The path below the base URL, as /samples/search
    #[arg(value_name = "PATH")]
    path: String,
    /// A parameter of the query, which is encoded as it must be; give it once for each
    #[arg(long, alias = "param", value_name = "KEY=VALUE")]
    query: Vec<String>,
    #[command(flatten)]
    connection: ConnectionArguments,
}

#[derive(Debug, Args)]
struct Sending {
    #[command(flatten)]
    target: Target,
    /// The document: as it is, @FILE for what a file holds, or - for stdin; goes unchanged. A secret does not belong
    /// here, where every process of the machine can read it, but into a file or stdin
    #[arg(long, value_name = "JSON|@FILE|-")]
    data: Option<String>,
}

pub(super) async fn execute(arguments: Arguments, globals: &Globals) -> Result<Exit, CommandError> {
    logging::start_with(globals.log_format, &bars::canvas(false), "warn");
    let answer = match &arguments.method {
        Method::Get(target) => {
            let path = target.path()?;
            let client = Connection::resolve(&target.connection, globals)?.with_credentials_if_any().await?;
            client.get_raw(&path, &[]).await
        }
        Method::Post(sending) | Method::Patch(sending) => {
            let (path, body) = (sending.target.path()?, sending.body()?);
            let client = Connection::resolve(&sending.target.connection, globals)?.with_credentials().await?;
            match arguments.method {
                Method::Patch(_) => client.patch_raw(&path, body).await,
                _ => client.post_raw(&path, body).await,
            }
        }
    };
    match answer {
        Ok(body) => {
            output::bytes(&body).map_err(|error| CommandError::Other(error.into()))?;
            Ok(Exit::Success)
        }
        Err(error) => {
            show_body(&error);
            Err(error.into())
        }
    }
}

/// What the server said beside what the error makes of it.
fn show_body(error: &Error) {
    if let Some(body) = error.api().and_then(|answer| answer.body.as_ref()) {
        eprintln!("{body}");
    }
}

impl Target {
    /// The path with its query. The base URL alone says where requests go, so nothing in a path can lead elsewhere.
    fn path(&self) -> Result<String, CommandError> {
        let Self { path, query, .. } = self;
        if path.contains(['?', '#']) {
            return Err(CommandError::Input(format!(
                "cannot use the path {path:?}: write what comes after the question mark as --query KEY=VALUE, and ? \
                 and # within a path as %3F and %23"
            )));
        }
        let mut url = crate::flow::Url::parse("http://localhost").expect("it is an address");
        for pair in query {
            match pair.split_once('=') {
                Some((key, value)) if !key.is_empty() => url.query_pairs_mut().append_pair(key, value),
                _ => {
                    return Err(CommandError::Input(format!("cannot understand --query {pair:?}: expected KEY=VALUE")));
                }
            };
        }
        Ok(url.query().map_or_else(|| path.clone(), |query| format!("{path}?{query}")))
    }
}

impl Sending {
    fn body(&self) -> Result<Vec<u8>, CommandError> {
        let unreadable =
            |from: &str, error| CommandError::Input(format!("cannot read the document from {from}: {error}"));
        match self.data.as_deref() {
            None => Ok(Vec::new()),
            Some("-") => {
                let mut body = Vec::new();
                std::io::stdin().read_to_end(&mut body).map_err(|error| unreadable("stdin", error))?;
                Ok(body)
            }
            Some(data) => match data.strip_prefix('@') {
                Some(file) => std::fs::read(file).map_err(|error| unreadable(file, error)),
                None => Ok(data.as_bytes().to_vec()),
            },
        }
    }
}
