//! Runs by the names that people type: what status shows, which is the path below the watch, or the folder's own name.
//!
//! The one place that says which runs a name means. It refuses a folder's name that several have.

use std::collections::BTreeSet;

use super::exit::CommandError;
use crate::journal::RunName;
use crate::status::Snapshot;

/// So many runs of one name are named.
const NAMED: usize = 5;

/// The runs that the agent knows: those of samples, and those that are overdue without any.
pub(super) fn known(snapshot: &Snapshot) -> BTreeSet<RunName> {
    let of_samples = snapshot.samples.iter().map(|sample| (&sample.watch, &sample.run));
    let overdue = snapshot.conditions.iter().filter_map(|condition| Some((&condition.watch, condition.run.as_ref()?)));
    of_samples.chain(overdue).map(|(watch, run)| RunName { watch: watch.clone(), run: run.clone() }).collect()
}

/// The runs that are called `name`, in whatever watch: those of this path below their watch; else those in a folder of
/// this name, if they have one path. `verb` is what is to be done, `sought` what else could have been meant.
///
/// # Errors
/// When there is none, and when the folders of several runs have this name.
pub(super) fn named(
    name: &str,
    known: &BTreeSet<RunName>,
    verb: &str,
    sought: &str,
) -> Result<Vec<RunName>, CommandError> {
    let by_path: Vec<RunName> = known.iter().filter(|run| run.run == name).cloned().collect();
    if !by_path.is_empty() {
        return Ok(by_path);
    }
    let own_name = |run: &RunName| run.run.rsplit_once('/').is_some_and(|(_, own_name)| own_name == name);
    let by_own_name: Vec<RunName> = known.iter().filter(|run| own_name(run)).cloned().collect();
    let Some(first) = by_own_name.first() else {
        return Err(CommandError::Missing(format!(
            "cannot {verb} {name}: there is no such {sought}; flow-ingest status lists them"
        )));
    };
    let paths: BTreeSet<&str> = by_own_name.iter().map(|run| run.run.as_str()).collect();
    if paths.len() == 1 {
        return Ok(by_own_name);
    }
    let more = if paths.len() > NAMED { ", …" } else { "" };
    let named: Vec<&str> = paths.iter().copied().take(NAMED).collect();
    Err(CommandError::Input(format!(
        "cannot {verb} {name}: {} runs have folders of that name: {}{more}; name one by its path below the watch, such \
         as {}",
        paths.len(),
        named.join(", "),
        first.run
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Exit;

    fn called(name: &str) -> Result<Vec<(String, String)>, CommandError> {
        let runs = [
            ("a", "exp1/lib/r1"),
            ("a", "exp2/lib/r1"),
            ("a", "exp1/lib/r2"),
            ("b", "exp1/lib/r2"),
            ("a", "exp1/r3"),
            ("b", "r3"),
            ("a", "xr4"),
        ];
        let known = runs.map(|(watch, run)| RunName { watch: watch.to_owned(), run: run.to_owned() }).into();
        Ok(named(name, &known, "hold", "run")?.into_iter().map(|run| (run.watch, run.run)).collect())
    }

    #[track_caller]
    fn means(name: &str, runs: &[(&str, &str)]) {
        let runs: Vec<_> = runs.iter().map(|(watch, run)| ((*watch).to_owned(), (*run).to_owned())).collect();
        assert_eq!(called(name).unwrap(), runs);
    }

    #[test]
    fn a_path_goes_before_a_folders_own_name() {
        means("exp2/lib/r1", &[("a", "exp2/lib/r1")]);
        means("r3", &[("b", "r3")]);
        means("r2", &[("a", "exp1/lib/r2"), ("b", "exp1/lib/r2")]);
    }

    #[test]
    fn a_name_of_several_or_of_none_is_refused() {
        let several = called("r1").unwrap_err();
        assert_eq!(several.exit(), Exit::Usage);
        assert_eq!(
            several.to_string(),
            "cannot hold r1: 2 runs have folders of that name: exp1/lib/r1, exp2/lib/r1; name one by its path below the \
             watch, such as exp1/lib/r1"
        );
        for unknown in ["r4", "lib", "lib/r2", "exp1", ""] {
            let none = called(unknown).unwrap_err();
            assert_eq!(none.exit(), Exit::NotFound, "{unknown}");
        }
    }
}
