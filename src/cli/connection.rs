//! Where Flow is and who asks, for the commands that a person types: a config is used where there is one, and not
//! needed where flags and environment say it all.

use std::path::{Path, PathBuf};

use clap::Args;

use super::Globals;
use super::exit::CommandError;
use crate::config::{self, Config, FlowSettings};
use crate::flow::{Client, CredentialSource, CredentialsError, Error};

/// Names the API in the environment, as for the platform's own CLI.
const URL_VARIABLE: &str = "FLOW_API_URL";

#[derive(Debug, Clone, Args)]
pub(super) struct ConnectionArguments {
    /// Flow's API [default: $FLOW_API_URL, else the config's, else https://app.flow.bio/api]
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// Let http:// leave this machine: everybody on the way can read the credentials
    #[arg(long)]
    allow_http: bool,
    /// File with the token [default: the config's, else $FLOW_API_TOKEN, $FLOW_TOKEN_FILE, ~/.config/flow/api-token]
    #[arg(long, value_name = "PATH")]
    token_file: Option<PathBuf>,
}

impl ConnectionArguments {
    /// The file with the token that a flag names.
    pub fn token_file(&self) -> Option<&Path> {
        self.token_file.as_deref()
    }
}

/// How Flow is reached.
pub(super) struct Connection {
    /// The config, where there is one.
    pub config: Option<Config>,
    pub flow: FlowSettings,
    /// Whether a flag or the environment, rather than the config, says where Flow is.
    pub is_named: bool,
}

impl Connection {
    /// Flags go before the environment, that before the config, that before the defaults. A config that is named must
    /// be there; the default one may be missing.
    ///
    /// # Errors
    /// A config with mistakes, or an address that is none.
    pub fn resolve(arguments: &ConnectionArguments, globals: &Globals) -> Result<Self, CommandError> {
        let path = config::locate(globals.config.as_deref());
        let is_optional = path == Path::new(config::DEFAULT_FILE) && globals.config.is_none();
        Self::with_config(arguments, &path, is_optional)
    }

    /// The same before there is a config: one that is named may be missing as well.
    ///
    /// # Errors
    /// As for [`Self::resolve`].
    pub fn resolve_without_config(arguments: &ConnectionArguments, globals: &Globals) -> Result<Self, CommandError> {
        Self::with_config(arguments, &config::locate(globals.config.as_deref()), true)
    }

    fn with_config(arguments: &ConnectionArguments, path: &Path, is_optional: bool) -> Result<Self, CommandError> {
        let config = if is_optional && !path.exists() { None } else { Some(config::load(path)?) };
        let mut flow = config.as_ref().map_or_else(FlowSettings::default, |config| config.flow.clone());
        flow.allow_http |= arguments.allow_http;
        let from_environment = || std::env::var(URL_VARIABLE).ok().filter(|url| !url.trim().is_empty());
        let (named, by) = match &arguments.base_url {
            Some(url) => (Some(url.clone()), "--base-url"),
            None => (from_environment(), URL_VARIABLE),
        };
        let is_named = named.is_some();
        if let Some(url) = named {
            flow.base_url = config::parse_base_url(url.trim(), flow.allow_http, "--allow-http")
                .map_err(|error| CommandError::Input(format!("cannot use {by}: {error}")))?;
        }
        if let Some(file) = &arguments.token_file {
            flow.credentials = CredentialSource::TokenFile(file.clone());
        }
        Ok(Self { config, flow, is_named })
    }

    /// The state folder for uploads by hand: the flag's, else the config's, else one of the person's own. What is
    /// recorded for the config's server and what goes elsewhere are kept apart.
    ///
    /// # Errors
    /// When there is none, or the flag names the config's for another server.
    pub fn state_dir(&self, flag: Option<&Path>) -> Result<PathBuf, CommandError> {
        let absolute = |path: &Path| {
            let cannot =
                |error| CommandError::Input(format!("cannot use the state folder {}: {error}", path.display()));
            std::path::absolute(path).map_err(cannot)
        };
        let flag = flag.map(absolute).transpose()?;
        if let Some(config) = &self.config {
            let is_elsewhere = config.flow.base_url != self.flow.base_url;
            match &flag {
                None if !is_elsewhere => return Ok(config.state_dir.clone()),
                Some(flag) if is_elsewhere && *flag == config.state_dir => {
                    return Err(CommandError::Input(format!(
                        "cannot use the state folder {} for {}: it is that of {}, whose service would send what is \
                         left over there; name another with --state-dir",
                        flag.display(),
                        self.flow.base_url,
                        config.flow.base_url
                    )));
                }
                _ => {}
            }
        }
        flag.or_else(own_state_dir).ok_or_else(|| {
            CommandError::Input("there is no state folder: HOME is not set; name one with --state-dir".to_owned())
        })
    }

    /// A client that is logged in, and whom Flow knows: `GET /me` is asked, since other calls take a bad token for
    /// nobody's and say nothing.
    ///
    /// # Errors
    /// Credentials that are missing, cannot be read or are refused, or a Flow that cannot be reached.
    pub async fn log_in(&self) -> Result<Client, CommandError> {
        let client = self.flow.client()?;
        let logged_in = async {
            self.flow.credentials.log_in(&client).await?;
            client.me().await
        };
        logged_in.await.map_err(CommandError::LogIn)?;
        Ok(client)
    }

    /// A client with credentials that nobody has tested: for requests that Flow refuses without good ones.
    ///
    /// # Errors
    /// Credentials that are missing, cannot be read, or bring no token.
    pub async fn with_credentials(&self) -> Result<Client, CommandError> {
        let client = self.flow.client()?;
        self.flow.credentials.log_in(&client).await.map_err(CommandError::LogIn)?;
        Ok(client)
    }

    /// Likewise, but nobody's where there are no credentials: for what is open to everyone.
    ///
    /// # Errors
    /// Credentials that cannot be read, or bring no token.
    pub async fn with_credentials_if_any(&self) -> Result<Client, CommandError> {
        match self.with_credentials().await {
            Err(CommandError::LogIn(Error::Credentials(CredentialsError::Missing))) => Ok(self.flow.client()?),
            client => client,
        }
    }
}

/// The person's own state folder, where the XDG base directories have it.
fn own_state_dir() -> Option<PathBuf> {
    let folder = |variable| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state")))?;
    Some(state.join("flow-ingest"))
}
