//! demo
use super::Globals;
use super::exit::{CommandError, Exit};
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}
pub(super) async fn execute(_: Arguments, _: &Globals) -> Result<Exit, CommandError> {
    Ok(Exit::Success)
}
