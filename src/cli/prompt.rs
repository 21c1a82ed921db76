//! Questions to a person, and answers that nobody else may read: not echoed on a terminal, and never an argument,
//! which every process on the machine could see.

use std::io::{self, IsTerminal, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use secrecy::SecretString;

use super::exit::CommandError;

/// Whether somebody can be asked.
pub(super) fn is_possible() -> bool {
    io::stdin().is_terminal()
}

/// Asks for a line that is shown as it is typed.
pub(super) async fn line(question: &str) -> Result<String, CommandError> {
    ask(question);
    read_line().await.map_err(unreadable)
}

/// Asks for a line that is not shown. When stdin is no terminal, its next line is taken unasked.
pub(super) async fn secret(question: &str) -> Result<SecretString, CommandError> {
    let _hidden = if is_possible() {
        let hidden = Hidden::start().map_err(unreadable)?;
        ask(question);
        Some(hidden)
    } else {
        None
    };
    read_line().await.map(SecretString::from).map_err(unreadable)
}

fn ask(question: &str) {
    let mut err = io::stderr().lock();
    let _ = write!(err, "{question}: ").and_then(|()| err.flush());
}

/// Reads on another thread, so that a signal is heard meanwhile.
async fn read_line() -> io::Result<String> {
    let read = || {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|_| line)
    };
    let line = tokio::task::spawn_blocking(read).await.map_err(io::Error::other)??;
    Ok(line.trim().to_owned())
}

fn unreadable(error: io::Error) -> CommandError {
    CommandError::Input(format!("cannot read the answer from stdin: {error}"))
}

/// A terminal that does not show what is typed, for as long as this lives.
struct Hidden(Termios);

impl Hidden {
    fn start() -> io::Result<Self> {
        let shown = tcgetattr(io::stdin())?;
        let mut hidden = shown.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        hidden.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Self(shown))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}
