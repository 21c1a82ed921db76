//! The watch's task: waits until there is reason to look, looks, and tells.
//!
//! Between looks it sleeps until the next thing is due; nothing polls while nothing happens, save one `stat` of the
//! root every few seconds. The channel of news may be slow: events gather in their bounded mailbox meanwhile.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinError;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::observation::Moment;

use super::Settings;
use super::events::Mailbox;
use super::news::{News, Remembered};
use super::session::Session;

/// How long events gather before a look: a file that is created, written and closed is one look, not three.
const GATHER: Duration = Duration::from_millis(100);
/// How long a look is put off at most, however dear the last one was.
const GATHER_MOST: Duration = Duration::from_millis(300);
/// How often files are looked at that are being written.
const WRITTEN: Duration = Duration::from_secs(1);

/// Why a watch ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "cannot go on watching {}: the look at it broke off ({why}); this is a fault of the agent: report it",
        path.display()
    )]
    BrokeOff { path: PathBuf, why: JoinError },
}

/// Watches a folder until `shutdown`, or until nobody listens to `news` any more.
///
/// `wake` asks for a full scan. All that can go wrong with the folder is told as [`News::condition`] and heals by
/// itself.
///
/// # Errors
/// A fault of the agent itself.
pub async fn run(
    settings: Settings,
    remembered: Remembered,
    news: mpsc::Sender<News>,
    wake: Arc<Notify>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    watch(settings, remembered, news, wake, shutdown, Arc::default()).await
}

/// Looks at a folder once, as at a start, and sets up nothing. Files that need time to settle have just begun to.
pub fn look_once(settings: &Settings, remembered: Remembered) -> News {
    let mut session = Session::new(settings, remembered, None);
    session.look(true).unwrap_or_else(|| unreachable!("a first look is always news: its condition was never told"))
}

pub(super) async fn watch(
    settings: Settings,
    remembered: Remembered,
    news: mpsc::Sender<News>,
    wake: Arc<Notify>,
    shutdown: CancellationToken,
    mailbox: Arc<Mailbox>,
) -> Result<(), Error> {
    let path = settings.path.clone();
    let mut session = Session::new(&settings, remembered, Some(mailbox.clone()));
    let mut rescan = false;
    loop {
        let began = Instant::now();
        let look = tokio::task::spawn_blocking(move || {
            let news = session.look(rescan);
            (session, news)
        });
        // A look at a share that hangs cannot be called back; it must not keep the agent from ending.
        let (returned, heard) = tokio::select! {
            look = look => look.map_err(|why| Error::BrokeOff { path: path.clone(), why })?,
            () = shutdown.cancelled() => return Ok(()),
        };
        session = returned;
        let cost = began.elapsed();
        if let Some(heard) = heard {
            let sent = tokio::select! {
                sent = news.send(heard) => sent,
                () = shutdown.cancelled() => return Ok(()),
            };
            if sent.is_err() {
                return Ok(());
            }
        }
        let rest = Instant::now() + (cost * 2).clamp(GATHER, GATHER_MOST);
        let due = Instant::now() + session.next_look().since(&Moment::now()).unwrap_or_default();
        tokio::select! {
            asked = wait(&mailbox, &wake, due, rest) => rescan = asked,
            () = shutdown.cancelled() => return Ok(()),
            () = news.closed() => return Ok(()),
        }
    }
}

/// Waits until a look is due or asked for, but not before `rest` is over; true when a full scan is asked for.
async fn wait(mailbox: &Mailbox, wake: &Notify, due: Instant, rest: Instant) -> bool {
    let asked = tokio::select! {
        () = sleep_until(due) => false,
        () = wake.notified() => true,
        () = mailbox.bell.notified() => {
            sleep_until(Instant::now() + GATHER).await;
            false
        }
        () = mailbox.murmur.notified() => {
            let _ = timeout_at(due.min(Instant::now() + WRITTEN), mailbox.bell.notified()).await;
            false
        }
    };
    sleep_until(rest).await;
    asked
}

#[cfg(test)]
mod tests;
