//! A session with a watched folder: decides where to look, looks, and says what it saw and what is wrong.
//!
//! Synchronous, since `stat` and `readdir` are: the task runs it where blocking is allowed, and `plan` runs it once.
//! A missing or unreadable root is a condition, not an end, and never means that its files are gone.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::observation::Moment;
use crate::sample::path_to_text;

use super::events::{Hints, Mailbox, Watches};
use super::news::{News, Outage, Remembered};
use super::picture::Picture;
use super::reading;
use super::root::{self, Root};
use super::scan::{self, Found};
use super::settings::{SETTLE, SETTLE_NETWORK};
use super::sieve::Sieve;
use super::{Mode, Settings};

/// How often it is checked that the root is still the same folder. One `stat`.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How soon a root that is missing or unreadable is tried again.
const RETRY: Duration = Duration::from_secs(2);
/// How many unreadable folders a condition names.
const NAMED: usize = 3;

pub(super) struct Session {
    settings: Settings,
    sieve: Sieve,
    picture: Picture,
    /// Where events arrive; `None` looks once and sets up nothing.
    mailbox: Option<Arc<Mailbox>>,
    station: Option<Station>,
    /// What is wrong with the root.
    trouble: Option<Outage>,
    told: Option<(Option<String>, Option<Outage>, &'static str)>,
}

/// What holds only as long as the root stays the same.
struct Station {
    root: Root,
    /// `None` where no event arrives, or none can.
    watches: Option<Watches>,
    /// Why there are no watches although there should be.
    no_watches: Option<String>,
    full_scan_at: Moment,
    unread_again_at: Moment,
    /// When a scan for lost events may begin: our own scans cause events, and an overflow that a scan caused must
    /// not cause the next one at once.
    lost_scan_from: Moment,
}

impl Session {
    pub fn new(settings: &Settings, remembered: Remembered, mailbox: Option<Arc<Mailbox>>) -> Self {
        let mut picture = Picture::new(settings, remembered.baseline, remembered.observations, Moment::now());
        picture.set_settle(settings.settle.unwrap_or(SETTLE));
        let (settings, sieve) = (settings.clone(), Sieve::new(settings));
        Self { settings, sieve, picture, mailbox, station: None, trouble: None, told: None }
    }

    /// Looks wherever there is reason to, everywhere when `rescan` says so; what is new, if anything is.
    pub fn look(&mut self, rescan: bool) -> Option<News> {
        let hints = self.mailbox.as_ref().map(|mailbox| mailbox.take()).unwrap_or_default();
        match self.reach_root() {
            Ok(()) => self.trouble = self.look_below(hints, rescan).err(),
            Err(trouble) => self.trouble = Some(gone(trouble)),
        }
        let now = (self.condition(), self.outage(), self.mode());
        let news = self.picture.has_news() || self.told.as_ref() != Some(&now);
        news.then(|| {
            self.told = Some(now.clone());
            let next_scan = self.station.as_ref().map(|station| station.full_scan_at);
            News { reachable: self.trouble.is_none(), next_scan, ..self.picture.take_news(now.0, now.1, now.2) }
        })
    }

    /// When to look again if nothing asks for it earlier.
    pub fn next_look(&self) -> Moment {
        let now = Moment::now();
        let Some(station) = self.station.as_ref().filter(|_| self.trouble.is_none()) else { return now + RETRY };
        let unread = (!self.picture.unread().is_empty()).then_some(station.unread_again_at);
        let reasons = [Some(now + HEARTBEAT), Some(station.full_scan_at), unread, self.picture.next()];
        reasons.into_iter().flatten().min_by_key(|moment| moment.at).unwrap_or(now)
    }

    /// Makes sure that the root is there and the one that is being watched.
    fn reach_root(&mut self) -> Result<(), String> {
        if self.station.as_ref().is_some_and(|station| station.root.is_still_there()) {
            return Ok(());
        }
        self.station = None;
        let root = Root::find(&self.settings.path)?;
        let settle = if root.network { SETTLE_NETWORK } else { SETTLE };
        self.picture.set_settle(self.settings.settle.unwrap_or(settle));
        let native = match self.settings.mode {
            Mode::Auto => !root.network,
            Mode::Native => true,
            Mode::Poll => false,
        };
        let open = |mailbox: &Arc<Mailbox>| Watches::open(&self.settings.path, mailbox.clone());
        let (watches, no_watches) = match self.mailbox.as_ref().filter(|_| native).map(open).transpose() {
            Ok(watches) => (watches, None),
            Err(why) => (None, Some(why)),
        };
        let now = Moment::now();
        self.station =
            Some(Station { root, watches, no_watches, full_scan_at: now, unread_again_at: now, lost_scan_from: now });
        Ok(())
    }

    fn look_below(&mut self, hints: Hints, rescan: bool) -> Result<(), Outage> {
        let Some(station) = &mut self.station else { return Ok(()) };
        let now = Moment::now();
        let is_due = |at: Moment| at.at <= now.at;
        if hints.lost && station.lost_scan_from.at < station.full_scan_at.at {
            station.full_scan_at = station.lost_scan_from;
        }
        let full = rescan || self.trouble.is_some() || is_due(station.full_scan_at);
        let paths = if full {
            vec![PathBuf::new()]
        } else {
            let below = |path: &PathBuf| Some(path.strip_prefix(&station.root.canonical).ok()?.to_owned());
            let mut paths: Vec<PathBuf> = hints.paths.iter().filter_map(below).collect();
            // The root's own events tell of its end, which has been looked into already.
            paths.retain(|path| !path.as_os_str().is_empty());
            paths.extend(hints.written.iter().filter_map(below).filter(|path| !self.picture.is_settling(path)));
            paths.extend(self.picture.due(now, station.hears()));
            if !self.picture.unread().is_empty() && is_due(station.unread_again_at) {
                station.unread_again_at = now + self.settings.poll;
                paths.extend(self.picture.unread().keys().cloned());
            }
            paths
        };
        if paths.is_empty() {
            return Ok(());
        }
        let (picture, network) = (&self.picture, station.root.network);
        let is_judged = |path: &Path, at: Moment| network && picture.is_due(path, at);
        let found = station.scan(&self.sieve, paths, full, &is_judged);
        if let Some(error) = found.unread.get(Path::new("")) {
            return Err(gone(root::trouble(&self.settings.path, error)));
        }
        if !station.root.is_still_there() {
            // What was found is of two folders, or of none.
            self.station = None;
            return Err(gone(format!("cannot watch {}: it was replaced just now", self.settings.path.display())));
        }
        if full && self.picture.looks_unmounted(&found, &station.root) {
            let text = format!(
                "cannot watch {}: it is empty and lies on another file system than before, as if its share were not \
                 mounted; mount it",
                self.settings.path.display()
            );
            return Err(Outage { is_empty: true, text });
        }
        if full {
            station.schedule(found.started, &self.settings);
        } else if station.watches_trouble().is_some() {
            // A new folder that could not be watched: from now on, scans carry the watch.
            let soon = now + self.settings.poll;
            station.full_scan_at = std::cmp::min_by_key(station.full_scan_at, soon, |moment| moment.at);
        }
        self.picture.apply(&found, &station.root);
        let root = station.root.canonical.clone();
        self.read_papers(&root);
        Ok(())
    }

    /// Reads what instruments wrote, where it is new. Who looks once only reads it as it is.
    fn read_papers(&mut self, root: &Path) {
        let looks_once = self.mailbox.is_none();
        for (path, look, question) in self.picture.unread_papers(looks_once) {
            match reading::read(&root.join(&path), question) {
                // One that looks different now, or is gone, is looked at again anyway.
                Ok((Some(found), _)) if found != look => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Ok((_, paper)) => {
                    if let Some(why) = paper.says_nothing() {
                        tracing::warn!(
                            watch = self.settings.name,
                            path = path_to_text(&path),
                            why,
                            "a file says nothing of its run"
                        );
                    }
                    self.picture.take_paper(path, look, Ok(paper));
                }
                Err(error) => self.picture.take_paper(path, look, Err(root::why(&error))),
            }
        }
    }

    fn mode(&self) -> &'static str {
        if self.station.as_ref().is_some_and(Station::hears) { "native" } else { "poll" }
    }

    fn outage(&self) -> Option<Outage> {
        let text = || {
            format!(
                "{} is empty, and had files before; if nobody has cleared it, see whether its share is mounted",
                self.settings.path.display()
            )
        };
        let emptied = || self.picture.has_lost_all().then(|| Outage { is_empty: true, text: text() });
        self.trouble.clone().or_else(emptied)
    }

    fn condition(&self) -> Option<String> {
        if let Some(trouble) = &self.trouble {
            return Some(trouble.text.clone());
        }
        let watches = self.station.as_ref().and_then(Station::watches_trouble).map(str::to_owned);
        let unread: Vec<(&PathBuf, &String)> = self.picture.unread().iter().collect();
        let named = |(path, why): &(&PathBuf, &String)| {
            format!("cannot read {}: {why}", path_to_text(&self.settings.path.join(path)))
        };
        let mut all: Vec<String> = watches.into_iter().chain(unread.iter().take(NAMED).map(named)).collect();
        if unread.len() > NAMED {
            all.push(format!("and {} more", unread.len() - NAMED));
        }
        (!all.is_empty()).then(|| all.join("; "))
    }
}

fn gone(text: String) -> Outage {
    Outage { is_empty: false, text }
}

impl Station {
    fn scan(
        &mut self,
        sieve: &Sieve,
        paths: Vec<PathBuf>,
        full: bool,
        is_judged: &dyn Fn(&Path, Moment) -> bool,
    ) -> Found {
        match &mut self.watches {
            Some(watches) => {
                if full {
                    watches.forget_trouble();
                }
                scan::look(&self.root.canonical, sieve, paths, &mut |folder| watches.add(folder), is_judged)
            }
            None => scan::look(&self.root.canonical, sieve, paths, &mut |_| (), is_judged),
        }
    }

    /// Whether the system tells it of all that changes.
    fn hears(&self) -> bool {
        self.watches.as_ref().is_some_and(|watches| watches.trouble().is_none())
    }

    /// Sets the times that follow from a full scan.
    fn schedule(&mut self, started: Moment, settings: &Settings) {
        let now = Moment::now();
        let took = now.since(&started).unwrap_or_default();
        self.full_scan_at = now + if self.hears() { settings.rescan } else { settings.poll };
        self.unread_again_at = now + settings.poll;
        self.lost_scan_from = now + (took * 4).max(Duration::from_secs(1));
    }

    fn watches_trouble(&self) -> Option<&str> {
        self.no_watches.as_deref().or_else(|| self.watches.as_ref()?.trouble())
    }
}
