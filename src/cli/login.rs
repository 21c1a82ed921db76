//! `flow-ingest login`: asks for a token or a password, tries it, and stores the token where the other commands and the
//! service look for it. What Flow refuses is not stored, and what was stored before stays.

use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, fchown};
use std::path::{Path, PathBuf};

use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use tempfile::NamedTempFile;

use super::connection::{Connection, ConnectionArguments};
use super::exit::{CommandError, Exit};
use super::run::told_to_stop;
use super::{Globals, bars, logging, output, prompt};
use crate::flow::{Client, Credentials, TokenCredentials, UsernamePasswordCredentials};

/// The token is asked for, or read from the first line of stdin; so is the password with --username.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Log in to this account with its password, and store the token that this brings
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    #[command(flatten)]
    connection: ConnectionArguments,
}

pub(super) async fn execute(arguments: Arguments, globals: &Globals) -> Result<Exit, CommandError> {
    logging::start_with(globals.log_format, &bars::canvas(false), "warn");
    // Dropped where it stands, a prompt leaves the terminal as it was.
    tokio::select! {
        ended = log_in(arguments, globals) => ended,
        () = told_to_stop() => Ok(Exit::Interrupted),
    }
}

async fn log_in(arguments: Arguments, globals: &Globals) -> Result<Exit, CommandError> {
    let connection = Connection::resolve(&arguments.connection, globals)?;
    let credentials = &connection.flow.credentials;
    let file = credentials.token_file().ok_or_else(|| {
        CommandError::Input("there is no place for the token: HOME is not set; name one with --token-file".to_owned())
    })?;
    let client = connection.flow.client()?;
    let token = token(&client, arguments.username).await?;
    let tested = async {
        client.log_in(&TokenCredentials::new(token.expose_secret())).await?;
        client.me().await
    };
    let me = tested.await.map_err(CommandError::LogIn)?;
    let was_shared = file.metadata().is_ok_and(|former| former.mode() & 0o040 != 0);
    let file = store(&file, &token)
        .map_err(|error| CommandError::Input(format!("cannot store the token in {}: {error}", file.display())))?;

    let base_url = &connection.flow.base_url;
    if globals.json {
        output::json(&serde_json::json!({
            "version": 1, "base_url": base_url, "id": me.id, "username": me.username, "token_file": file,
        }));
    } else {
        let name = me.username.or(me.id).map(|name| format!(" as {}", output::cell(&name))).unwrap_or_default();
        output::line(&format!("logged in to {base_url}{name}; the token is in {}", file.display()));
    }
    if was_shared {
        eprintln!(
            "flow-ingest: its group could read the file before, and cannot any more; if a service of that group needs \
             it: chmod g+r {}",
            file.display()
        );
    }
    if let Some(reason) = credentials.overrides_token_file() {
        eprintln!("flow-ingest: the stored token is not used as long as {reason}");
    }
    Ok(Exit::Success)
}

/// The token that a person gives, or that the account brings.
async fn token(client: &Client, username: Option<String>) -> Result<SecretString, CommandError> {
    let username = match username {
        Some(username) => username,
        None if prompt::is_possible() => {
            let token = prompt::secret("API token (nothing, to log in with a password)").await?;
            if !token.expose_secret().is_empty() {
                return usable(token);
            }
            prompt::line("Username").await?
        }
        None => return usable(prompt::secret("API token").await?),
    };
    let password = prompt::secret(&format!("Password of {username}")).await?;
    if username.is_empty() || password.expose_secret().is_empty() {
        return Err(CommandError::Input("cannot log in without a username and a password".to_owned()));
    }
    let account = UsernamePasswordCredentials::new(username, password.expose_secret());
    let token = account.token(client).await.map_err(CommandError::LogIn)?;
    eprintln!("flow-ingest: such a token may expire; an API token that is made on Flow's web pages lasts longer");
    usable(token)
}

/// A token travels in a header and is stored as a line.
fn usable(token: SecretString) -> Result<SecretString, CommandError> {
    let text = token.expose_secret();
    if text.is_empty() {
        return Err(CommandError::Input("no token was given; its place is the first line of stdin".to_owned()));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(CommandError::Input("this is no token: a token has no spaces and no special letters".to_owned()));
    }
    Ok(token)
}

/// Replaces the file in one step, for its owner's eyes only, and gives its whole path.
fn store(path: &Path, token: &SecretString) -> io::Result<PathBuf> {
    // A link stays one: the file that it points to is replaced.
    let path = if path.is_symlink() { path.canonicalize()? } else { std::path::absolute(path)? };
    let folder = path.parent().ok_or(io::ErrorKind::IsADirectory)?;
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // Made with mode 0600.
    let mut file = NamedTempFile::new_in(folder)?;
    writeln!(file, "{}", token.expose_secret())?;
    if let Ok(former) = path.metadata() {
        // A superuser who renews the token of a service leaves it to the service; others may not, and need not.
        let _ = fchown(file.as_file(), Some(former.uid()), Some(former.gid()));
    }
    file.as_file().sync_all()?;
    file.persist(&path)?;
    File::open(folder)?.sync_all()?;
    Ok(path)
}
