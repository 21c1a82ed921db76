//! Who we are to Flow: credentials, where they come from, and the token that they bring.

use std::future::Future;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::client::Client;
use super::error::Error;

/// A way of getting an access token. Two are built in; a caller may bring its own.
pub trait Credentials: Sync {
    /// Obtains the token, with requests of `client` if it needs any.
    fn token(&self, client: &Client) -> impl Future<Output = Result<SecretString, Error>> + Send;
}

/// A user's name and password: traded for a token at `POST /login`, which also sets the refresh cookie.
pub struct UsernamePasswordCredentials {
    username: String,
    password: SecretString,
}

impl UsernamePasswordCredentials {
    /// The account that the user logs in with.
    pub fn new(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self { username: username.into(), password: SecretString::from(password.into()) }
    }
}

impl Credentials for UsernamePasswordCredentials {
    async fn token(&self, client: &Client) -> Result<SecretString, Error> {
        client.request_token(&self.username, self.password.expose_secret()).await
    }
}

/// A token, or an API key made in the web app, which is used in the same way.
pub struct TokenCredentials(SecretString);

impl TokenCredentials {
    /// The token, without `Bearer` in front.
    pub fn new(token: impl Into<String>) -> Self {
        Self(SecretString::from(token.into()))
    }
}

impl Credentials for TokenCredentials {
    async fn token(&self, _client: &Client) -> Result<SecretString, Error> {
        Ok(self.0.clone())
    }
}

/// Where an agent's credentials lie. They are read anew at each log-in, so that a file that was mended heals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialSource {
    /// A file with a token or an API key on its first line.
    TokenFile(PathBuf),
    /// An account.
    Password {
        /// Its name.
        username: String,
        /// A file with its password on the first line.
        password_file: PathBuf,
    },
    /// `FLOW_API_TOKEN`, else the file that `FLOW_TOKEN_FILE` names, else `~/.config/flow/api-token`: the order of
    /// the platform's own CLI.
    Environment,
}

/// Credentials that could not be read.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the variants are documented, and their fields say what they are")]
pub enum CredentialsError {
    /// The file cannot be read.
    #[error("cannot read the {what} from {}: {source}", path.display())]
    Unreadable { what: &'static str, path: PathBuf, source: std::io::Error },
    /// The file has nothing on its first line.
    #[error("cannot use the {what} in {}: the file is empty; put it on the first line", path.display())]
    Empty { what: &'static str, path: PathBuf },
    /// None of the places has any.
    #[error(
        "cannot log in: no credentials; set flow.credentials in the config, FLOW_API_TOKEN or FLOW_TOKEN_FILE, \
         or put a token into ~/.config/flow/api-token, as flow-ingest login does"
    )]
    Missing,
}

impl CredentialSource {
    /// The file whose change may heal a refused log-in, if there is one.
    pub fn file(&self) -> Option<PathBuf> {
        match self {
            Self::TokenFile(path) => Some(path.clone()),
            Self::Password { password_file, .. } => Some(password_file.clone()),
            Self::Environment if env_token().is_some() => None,
            Self::Environment => default_token_file(),
        }
    }

    /// Where a new token belongs, be there a file or not: the one that is named here or by `FLOW_TOKEN_FILE`, else
    /// `~/.config/flow/api-token`. `None` where nobody names one and there is no home.
    pub fn token_file(&self) -> Option<PathBuf> {
        match self {
            Self::TokenFile(path) => Some(path.clone()),
            Self::Password { .. } | Self::Environment => named_token_file().or_else(home_token_file),
        }
    }

    /// What goes before a token that lies in [`CredentialSource::token_file`], if anything does.
    pub fn overrides_token_file(&self) -> Option<&'static str> {
        match self {
            Self::TokenFile(_) => None,
            Self::Password { .. } => Some("the config logs in with a username and a password"),
            Self::Environment => env_token().map(|_| "FLOW_API_TOKEN is set"),
        }
    }

    /// Reads the credentials and logs `client` in with them.
    ///
    /// # Errors
    /// [`Error::Credentials`] when they cannot be read, and whatever the log-in request meets.
    pub async fn log_in(&self, client: &Client) -> Result<(), Error> {
        match self {
            Self::TokenFile(path) => client.log_in(&TokenCredentials(read_secret("token", path)?)).await,
            Self::Password { username, password_file } => {
                let password = read_secret("password", password_file)?;
                client.log_in(&UsernamePasswordCredentials { username: username.clone(), password }).await
            }
            Self::Environment => {
                let token = match (env_token(), default_token_file()) {
                    (Some(token), _) => token,
                    (None, Some(path)) => read_secret("token", &path)?,
                    (None, None) => return Err(CredentialsError::Missing.into()),
                };
                client.log_in(&TokenCredentials(token)).await
            }
        }
    }
}

fn env_token() -> Option<SecretString> {
    std::env::var("FLOW_API_TOKEN").ok().filter(|token| !token.trim().is_empty()).map(|t| t.trim().to_owned().into())
}

/// The token file of the environment: the one that is named, or the default one if it is there.
fn default_token_file() -> Option<PathBuf> {
    named_token_file().or_else(|| home_token_file().filter(|path| path.exists()))
}

fn named_token_file() -> Option<PathBuf> {
    std::env::var_os("FLOW_TOKEN_FILE").filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn home_token_file() -> Option<PathBuf> {
    Some(PathBuf::from(std::env::var_os("HOME")?).join(".config/flow/api-token"))
}

fn read_secret(what: &'static str, path: &Path) -> Result<SecretString, CredentialsError> {
    let text = std::fs::read_to_string(path).map_err(|source| CredentialsError::Unreadable {
        what,
        path: path.to_owned(),
        source,
    })?;
    match text.lines().next().map(str::trim) {
        None | Some("") => Err(CredentialsError::Empty { what, path: path.to_owned() }),
        Some(secret) => Ok(SecretString::from(secret.to_owned())),
    }
}
