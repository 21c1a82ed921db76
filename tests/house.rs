//! The house's own rules: which room may use which, where a foreign crate may be seen, and nothing else.
//!
//! **If this test stopped you:** data goes one way through the rooms (watch → assemble → journal → upload → flow), and
//! each room knows as few others as it can. [`ROOMS`] says whom each may use. If a room needs a word that another
//! holds, the word usually belongs into `sample` or `observation`; if it needs another room to do something, its
//! caller (in the end, `agent`) hands that in. Change the table only when the plan of the house changes, and say why
//! in the commit.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A room (a file or a folder of `src`), and the rooms that it may use, and does.
const ROOMS: [(&str, &[&str]); 21] = [
    // The words that all speak.
    ("sample", &[]),
    ("observation", &["sample"]),
    // Tools that know nothing of the domain.
    ("pattern", &[]),
    ("yaml", &[]),
    // What is known of the folders that instruments write: data, without I/O.
    ("layout", &[]),
    // What the lab wrote down; of `yaml`, only the guess at a misspelt word.
    ("sheet", &["sample", "yaml"]),
    // What instruments wrote down of a run's end; of `sheet`, only how bytes become text.
    ("outcome", &["sheet"]),
    // The data's way.
    ("watch", &["pattern", "sample", "observation", "outcome"]),
    ("manifest", &["pattern", "yaml", "layout", "sample"]),
    ("assemble", &["manifest", "pattern", "sample", "sheet", "watch", "observation"]),
    ("journal", &["sample", "observation"]),
    // Usable alone; `upload` is the only one that holds both the journal and the client.
    ("flow", &[]),
    // Pure; of `flow`, only what the server's lists hold, and of `yaml`, the guess at a misspelt word.
    ("preflight", &["sample", "flow", "yaml"]),
    ("upload", &["sample", "journal", "flow", "observation", "preflight"]),
    // Beside it.
    ("status", &["journal", "sample", "observation"]),
    ("sandbox", &[]),
    // Each component's own settings type, put together.
    ("config", &["sample", "watch", "flow", "upload", "status", "manifest", "layout", "pattern", "yaml"]),
    // Those that tie the rooms together.
    (
        "agent",
        &[
            "sample",
            "observation",
            "yaml",
            "sheet",
            "watch",
            "manifest",
            "assemble",
            "journal",
            "flow",
            "upload",
            "status",
            "config",
        ],
    ),
    (
        "cli",
        &[
            "sample",
            "observation",
            "pattern",
            "yaml",
            "layout",
            "sheet",
            "watch",
            "manifest",
            "assemble",
            "journal",
            "flow",
            "preflight",
            "upload",
            "status",
            "sandbox",
            "config",
            "agent",
        ],
    ),
    // What reads bytes from outside, each for the fuzzer: it stands above all and nobody uses it.
    ("fuzzing", &["pattern", "yaml", "sheet", "outcome", "manifest", "journal", "flow", "sandbox", "config", "cli"]),
    ("main", &["cli"]),
];

/// Crates that are kept behind one door, so that they can be replaced there, and the rooms that have it.
const DOORS: [(&str, &[&str]); 7] = [
    ("calamine", &["sheet"]),
    ("quick_xml", &["outcome"]),
    ("sled", &["journal"]),
    ("serde_yaml", &["yaml"]),
    ("notify", &["watch"]),
    ("reqwest", &["flow", "status"]),
    ("rustls", &["flow"]),
];

/// A file of `src`.
struct Source {
    path: PathBuf,
    room: String,
    /// How many `super::` lead from it to the crate's root.
    depth: usize,
    /// Its code, without comments; of a file with tests at its end, what comes before them.
    code: String,
}

impl Source {
    fn read(path: &Path) -> Self {
        let below_src = path.strip_prefix(src()).unwrap().with_extension("");
        let mut modules: Vec<String> = below_src.iter().map(|name| name.to_str().unwrap().to_owned()).collect();
        modules.pop_if(|last| last == "mod");
        let text = fs::read_to_string(path).unwrap();
        let code = text.split("\n#[cfg(test)]\n").next().unwrap();
        let code: Vec<&str> = code.lines().map(|line| line.split("//").next().unwrap()).collect();
        Self {
            path: path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().to_owned(),
            room: modules[0].clone(),
            depth: modules.len(),
            code: code.join("\n"),
        }
    }

    /// The rooms that the file names, its own among them.
    fn uses(&self) -> BTreeSet<String> {
        let own_crate = if self.room == "main" { "flow_ingest::" } else { "crate::" };
        let mut uses: BTreeSet<String> = first_names_after(&self.code, own_crate).into_iter().collect();
        // The way to the root from below, too.
        let to_the_root = "super::".repeat(self.depth);
        let by_super = first_names_after(&self.code, &to_the_root).into_iter();
        uses.extend(by_super.filter(|name| ROOMS.iter().any(|(room, _)| room == name)));
        uses
    }
}

/// The names that stand right after `prefix`, those in braces each.
fn first_names_after(code: &str, prefix: &str) -> Vec<String> {
    let name = |text: &str| text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let mut names: Vec<String> = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let rest = &code[at + prefix.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            names.push(name(rest));
            continue;
        };
        let (mut depth, mut start) = (0, 0);
        for (i, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' | ',' if depth == 0 => {
                    names.push(name(&group[start..i]));
                    start = i + 1;
                    if c == '}' {
                        break;
                    }
                }
                '}' => depth -= 1,
                _ => {}
            }
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every file of `src` but those of tests and the list of rooms.
fn sources() -> Vec<Source> {
    let mut folders = vec![src()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_tests = path.file_stem().is_some_and(|name| name == "tests" || name == "testing" || name == "model");
            if path.is_dir() && !is_tests {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !is_tests
                && path != src().join("lib.rs")
            {
                sources.push(Source::read(&path));
            }
        }
    }
    assert!(sources.len() > ROOMS.len(), "the house is not empty");
    sources
}

#[test]
fn each_room_uses_only_those_that_the_table_allows() {
    let mut mistakes = Vec::new();
    for source in sources() {
        let (path, room) = (source.path.display(), &source.room);
        let Some((_, may_use)) = ROOMS.iter().find(|(name, _)| name == room) else {
            mistakes.push(format!("{path} is in no room of the table: give {room} its line there"));
            continue;
        };
        for used in source.uses().iter().filter(|used| *used != room && !may_use.contains(&used.as_str())) {
            let allowed = if may_use.is_empty() { "no other room".to_owned() } else { may_use.join(", ") };
            mistakes.push(format!("{path} uses {used}, but {room} may use {allowed}"));
        }
    }
    assert!(mistakes.is_empty(), "{}\nSee the table of rooms in tests/house.rs, and read why.", mistakes.join("\n"));
}

#[test]
fn the_table_allows_nothing_that_nobody_uses() {
    let mut used: BTreeSet<(String, String)> = BTreeSet::new();
    for source in sources() {
        used.extend(source.uses().into_iter().map(|other| (source.room.clone(), other)));
    }
    let allowed = ROOMS.iter().flat_map(|(room, may_use)| may_use.iter().map(move |other| (*room, *other)));
    let unused = allowed.filter(|(room, other)| !used.contains(&((*room).to_owned(), (*other).to_owned())));
    let unused: Vec<_> = unused.map(|(room, other)| format!("{room} may use {other}, and does not")).collect();
    assert!(unused.is_empty(), "{}\nTake it out of the table of rooms in tests/house.rs.", unused.join("\n"));
}

#[test]
fn crates_that_may_be_replaced_are_seen_in_their_own_room_only() {
    let mut mistakes = Vec::new();
    for source in sources() {
        for (name, rooms) in DOORS.iter().filter(|(_, rooms)| !rooms.contains(&source.room.as_str())) {
            if source.code.contains(&format!("{name}::")) {
                let path = source.path.display();
                mistakes.push(format!("{path} speaks of {name}, which only {} may: ask it there", rooms.join(" and ")));
            }
        }
    }
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}

#[test]
fn the_table_has_no_way_back() {
    // Each room may use only such as stand above it.
    for (n, (room, may_use)) in ROOMS.iter().enumerate() {
        for used in *may_use {
            assert!(ROOMS[..n].iter().any(|(above, _)| above == used), "{room} uses {used}, which stands below it");
        }
    }
}

#[test]
fn names_are_found_however_they_are_imported() {
    let names = |code: &str| first_names_after(code, "crate::").join(" ");
    assert_eq!(names("use crate::watch::{self, View};\nlet x = crate::flow::Client::new();"), "watch flow");
    assert_eq!(names("use crate::{\n    journal::{Journal, Record},\n    sample,\n};"), "journal sample");
    assert_eq!(names("pub(crate) fn x() {}\nuse other_crate::flow;"), "");
}
