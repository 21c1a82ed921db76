//! What no key can tell alone: rules across keys, watches and manifests.

use std::path::{Component, Path, PathBuf};

use super::watch::Read;
use crate::manifest::{Manifest, Paired};
use crate::sample::BY_HAND;
use crate::watch::Completion;
use crate::yaml::Value;

/// Two watches of one name, or of which one holds the other: their samples would be taken for each other's.
pub(super) fn watches(watches: &[&Read]) {
    for (i, watch) in watches.iter().enumerate() {
        if watch.name.as_deref() == Some(BY_HAND) {
            let value = watch.name_value.as_ref().unwrap_or(&watch.value);
            value.problem(format_args!(
                "uploads that people make by hand are listed under {BY_HAND:?}; give this watch another name"
            ));
        }
        for earlier in &watches[..i] {
            if let Some(name) = watch.name.as_ref().filter(|_| watch.name == earlier.name) {
                let value = watch.name_value.as_ref().unwrap_or(&watch.value);
                value.problem(format_args!("another watch is called {name:?} too; give this one another name"));
            }
            if let (Some((path, value)), Some((other, _))) = (&watch.path, &earlier.path) {
                let (real, other_real) = (real(path), real(other));
                if real == other_real {
                    value
                        .problem("another watch watches this folder already; join the two, with one manifest for both");
                } else if real.starts_with(&other_real) || other_real.starts_with(&real) {
                    value.problem(format_args!(
                        "this folder and {} of another watch lie one in the other, so a file would belong to both; \
                         watch folders that lie apart",
                        other.display()
                    ));
                }
            }
        }
    }
}

/// The agent changes nothing in a watched folder, so its own state cannot lie there.
pub(super) fn state_dir(state_dir: &Path, value: &Value, watches: &[&Read]) {
    let state_dir = real(state_dir);
    let mut paths = watches.iter().filter_map(|watch| watch.path.as_ref());
    if let Some((path, _)) = paths.find(|(path, _)| state_dir.starts_with(real(path))) {
        value.problem(format_args!(
            "this folder lies in the watched folder {}, where the agent changes nothing; keep its state elsewhere",
            path.display()
        ));
    }
}

/// In a drop folder nothing tells the last part or a missing mate, unless there is an end to wait for.
pub(super) fn drop_folder(condition: &Completion, value: &Value, manifest: &Manifest) {
    if condition.tells_an_end() {
        return;
    }
    for rule in manifest.rules.iter().filter(|rule| rule.joins_files()) {
        let because = if let Some(part) = ["lane", "part"].into_iter().find(|name| rule.captures(name)) {
            format!("captures {{{part}}}, and which file is a sample's last is a guess otherwise")
        } else if rule.paired == Some(Paired::Auto) {
            "says paired: auto, and whether a second read will come is a guess otherwise".to_owned()
        } else {
            continue;
        };
        value.problem(format_args!(
            "a folder without run_folder needs a marker or quiet in complete_when, such as {{quiet: 10m}}, since the \
             rule {:?} of its manifest {because}",
            rule.name
        ));
    }
}

/// A path without links, `.` and `..`, as far as it exists; the rest as it is written.
fn real(path: &Path) -> PathBuf {
    let mut real = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                real.pop();
            }
            component => {
                real.push(component);
                real = std::fs::canonicalize(&real).unwrap_or(real);
            }
        }
    }
    real
}
