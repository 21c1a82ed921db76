//! Who we are to Flow: credentials, where they come from, and the token that they bring.

use std::fs::File;
use std::future::Future;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

use super::client::Client;
use super::error::Error;

/// The largest file of a secret that is read, in bytes; tokens are a few hundred.
const LARGEST_SECRET: u64 = 64 << 10;

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
        client.request_token(&self.username, &self.password).await
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
    /// Others than the file's owner and its group have access to it.
    #[error(
        "refused to use the {what} in {path}: every user of this host has access to the file (mode {mode:04o}); \
         chmod 600 {path}, or 640 where a service reads it as its group",
        path = path.display()
    )]
    Shared { what: &'static str, path: PathBuf, mode: u32 },
    /// The file is far too large for what it should hold.
    #[error("cannot use the {what} in {}: the file is larger than 64 KiB; put it alone on the first line", path.display())]
    TooLarge { what: &'static str, path: PathBuf },
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

    /// Reads the file with the secret, where the credentials lie in one, and says which it is. Nothing is sent.
    ///
    /// # Errors
    /// As for [`CredentialSource::log_in`], before its request.
    pub fn check(&self) -> Result<Option<PathBuf>, CredentialsError> {
        let what = if matches!(self, Self::Password { .. }) { "password" } else { "token" };
        let file = self.file();
        file.as_deref().map(|file| read_secret(what, file)).transpose()?;
        Ok(file)
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

/// Reads the first line of a file that is its owner's, and at most its group's. Of a link, the file counts that it
/// leads to.
fn read_secret(what: &'static str, path: &Path) -> Result<SecretString, CredentialsError> {
    let unreadable = |source| CredentialsError::Unreadable { what, path: path.to_owned(), source };
    // Looked at before it is opened, which would wait for the writer of a named pipe, and once more when it is open:
    // what was looked at may be another file by then.
    let is_file = |metadata: &std::fs::Metadata| match metadata.is_file() {
        true => Ok(()),
        false => Err(unreadable(io::Error::new(io::ErrorKind::InvalidInput, "it is no plain file"))),
    };
    is_file(&std::fs::metadata(path).map_err(unreadable)?)?;
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    is_file(&metadata)?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o007 != 0 {
        return Err(CredentialsError::Shared { what, path: path.to_owned(), mode });
    }
    if metadata.len() > LARGEST_SECRET {
        return Err(CredentialsError::TooLarge { what, path: path.to_owned() });
    }
    // With room for all of it, so that no copy is left behind where it grew.
    let mut text = Zeroizing::new(String::with_capacity(LARGEST_SECRET as usize));
    file.take(LARGEST_SECRET).read_to_string(&mut text).map_err(unreadable)?;
    match text.lines().next().map(str::trim) {
        None | Some("") => Err(CredentialsError::Empty { what, path: path.to_owned() }),
        Some(secret) => Ok(SecretString::from(secret.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use secrecy::ExposeSecret;

    use super::*;

    fn file_of_mode(mode: u32) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, " t0ken \nnot this\n").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        (dir, path)
    }

    #[test]
    fn a_file_that_its_owner_and_its_group_alone_can_read_is_taken() {
        for mode in [0o600, 0o400, 0o640, 0o660] {
            let (_dir, path) = file_of_mode(mode);
            assert_eq!(read_secret("token", &path).unwrap().expose_secret(), "t0ken", "{mode:o}");
        }
    }

    #[test]
    fn a_file_that_others_have_access_to_is_refused_with_the_command_that_mends_it() {
        for mode in [0o644, 0o604, 0o602, 0o601, 0o777] {
            let (dir, path) = file_of_mode(mode);
            let told = read_secret("token", &path).unwrap_err().to_string();
            assert!(told.contains(&format!("chmod 600 {}", path.display())), "{told}");
            assert!(told.contains(&format!("(mode 0{mode:o})")) && !told.contains("t0ken"), "{told}");
            // The mode of the file counts, not that of a link to it.
            let link = dir.path().join("link");
            symlink(&path, &link).unwrap();
            assert!(matches!(read_secret("token", &link), Err(CredentialsError::Shared { .. })));
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
            assert!(read_secret("token", &link).is_ok());
        }
    }

    #[test]
    fn what_holds_no_secret_is_told_and_nothing_is_waited_for() {
        let (dir, path) = file_of_mode(0o600);
        let told = |path: &Path| read_secret("password", path).unwrap_err().to_string();
        assert!(told(dir.path()).contains("no plain file"));
        assert!(told(Path::new("/dev/zero")).contains("no plain file"));
        assert!(told(&dir.path().join("none")).contains("cannot read the password"));
        std::fs::write(&path, "\nsecond").unwrap();
        assert!(told(&path).contains("empty"));
        std::fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert!(told(&path).contains("larger than 64 KiB"));
    }
}
