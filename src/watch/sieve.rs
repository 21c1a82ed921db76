//! What is left out of a watch by its name, and which folder is a run: questions about paths below the watch, answered
//! without a look at the disk.
//!
//! A pattern sees a name as text, so a name that is not UTF-8 is matched by its lossy form; the path itself stays as
//! it is.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::run_folder::{Entries, RunFolders};
use super::{Ignore, Settings};

/// Name endings under which programs write what is not finished; of folders as well, which are renamed when whole.
const UNFINISHED: [&[u8]; 19] = [
    b".tmp",
    b".temp",
    b".part",
    b".partial",
    b".filepart",
    b"~",
    // Browsers: Chrome and Edge, Safari.
    b".crdownload",
    b".download",
    // File servers and copying scripts of several makers.
    b".incomplete",
    b".inprogress",
    b".in-progress",
    b".copying",
    b".uploading",
    b".upload",
    // lftp, as its users set xfer:temp-file-name, and beside what it fetches in pieces [lftp(1), pget].
    b".lftp",
    b".lftp-pget-status",
    // Aspera's record of how far it is, beside a .partial or the file itself [IBM Aspera, resume_suffix].
    b".aspx",
    b".aspera-ckpt",
    // aria2's, beside the file itself [aria2c(1), control file].
    b".aria2",
];

/// The same, but of a file with reads alone: by itself it may be the end of anybody's name.
const UNFINISHED_READS: (&[u8], [&[u8]; 5]) = (b"_tmp", [b".gz", b".fastq", b".fq", b".bam", b".cram"]);

/// Folders beside a file that keep it, under its own name, until it is finished: of rsync's --delay-updates, and the one
/// that is given to --partial-dir mostly, as its manual has it [rsync(1)].
const KEEP_UNFINISHED: [&str; 2] = [".~tmp~", ".rsync-partial"];

/// What programs write before a file's name until it is finished: lftp and ProFTPD [xfer:temp-file-name; HiddenStores],
/// Syncthing on Unix and on Windows [lib/fs/tempname.go].
const BEFORE_UNFINISHED: [&str; 3] = [".in.", ".syncthing.", "~syncthing~"];

/// Why something under the watch is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    DotName,
    Unfinished,
    Ignored,
    IgnoredFolder,
    NoRunFolder,
    LinkOut,
    LinkToFolder,
    LinkNowhere,
    NotRegular,
}

/// What a watch says of a path below it by its names alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sifted {
    /// What is left out, the path itself or a folder above it, and why.
    pub left_out: Option<(PathBuf, String)>,
    /// The run folder that the path lies in, or that it is; of a drop folder the empty path. A folder that is a run by
    /// its entries alone is told though it may have none.
    pub run: Option<PathBuf>,
}

/// Asks a watch about a path below it.
pub fn sift(settings: &Settings, path: &Path) -> Sifted {
    let sieve = Sieve::new(settings);
    let left_out = sieve.leaves_out_above(path).map(|(at, reason)| {
        let why = sieve.explain(&at, reason);
        (at, why)
    });
    let own = || sieve.captures(path).map(|_| path);
    Sifted { left_out, run: sieve.run_above(path).or_else(own).map(Path::to_owned) }
}

impl Reason {
    /// The reason for what turns out to be a folder, or not: into an ignored one nobody looks.
    pub fn of(self, is_folder: impl FnOnce() -> bool) -> Self {
        if self == Self::Ignored && is_folder() { Self::IgnoredFolder } else { self }
    }
}

/// Why something is in no run, or, of a folder, why there is none in it; with what the watch takes for runs, and what
/// to do where it should take others.
pub fn outside_runs(run_folder: &RunFolders, is_folder: bool) -> String {
    let (what, where_not) = match is_folder {
        true => ("it is no run folder of the watch, and there is none in it", "no folder there"),
        false => ("not inside a run folder", "no folder above it"),
    };
    format!(
        "{what} ({where_not} matches {}); where runs are named otherwise, say how by the watch's run_folder; where \
         files lie in no runs, use layout: drop-folder",
        run_folder.plain()
    )
}

/// The watch's rules about names.
#[derive(Debug, Clone)]
pub(super) struct Sieve {
    ignore: Ignore,
    run_folder: Option<RunFolders>,
}

impl Sieve {
    pub fn new(settings: &Settings) -> Self {
        Self { ignore: settings.ignore.clone(), run_folder: settings.run_folder.clone() }
    }

    /// Of a drop folder that ignores these.
    #[cfg(test)]
    pub fn ignoring(globs: &[&str]) -> Self {
        let glob = |text: &&str| globset::GlobBuilder::new(text).literal_separator(true).build().unwrap();
        let globs: Vec<_> = globs.iter().map(glob).collect();
        Self { ignore: Ignore::new(&[], &globs).unwrap(), run_folder: None }
    }

    /// Why the file or folder at `path` is left out whatever it holds; its parents are not asked about.
    pub fn leaves_out(&self, path: &Path) -> Option<Reason> {
        let name = path.file_name()?.as_bytes();
        if name.starts_with(b".") {
            Some(Reason::DotName)
        } else if unfinished_ending(name).is_some() {
            Some(Reason::Unfinished)
        } else {
            self.ignore.is_match(path).then_some(Reason::Ignored)
        }
    }

    /// The topmost of `path` and its parents that is left out, and why.
    pub fn leaves_out_above(&self, path: &Path) -> Option<(PathBuf, Reason)> {
        self.downwards(path).find_map(|at| Some((at.to_owned(), self.leaves_out(at)?)))
    }

    /// What the run folder pattern captures from a folder; `None` when it is no run folder. A drop folder's run is
    /// the watch itself.
    pub fn captures(&self, folder: &Path) -> Option<BTreeMap<String, String>> {
        match &self.run_folder {
            Some(run_folder) if !folder.as_os_str().is_empty() => run_folder.captures(&text(folder)),
            Some(_) => None,
            None => folder.as_os_str().is_empty().then(BTreeMap::new),
        }
    }

    /// Whether a folder that lies in no run is one, with all that lies in it.
    pub fn is_run(&self, folder: &Path) -> bool {
        let is_watch = folder.as_os_str().is_empty();
        self.run_folder.as_ref().map_or(is_watch, |run_folder| !is_watch && run_folder.is_whole(&text(folder)))
    }

    /// Whether the folder that `path` is an entry of, and that lies in no run, is one by this entry.
    pub fn begins_run(&self, path: &Path) -> bool {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        folder.is_some_and(|folder| is_among(&self.entries(folder), folder, path))
    }

    /// The run to which what lies at `path` belongs: the topmost folder above it that is a run folder for it.
    pub fn run_above<'a>(&self, path: &'a Path) -> Option<&'a Path> {
        if self.run_folder.is_none() {
            return Some(Path::new(""));
        }
        let is_for_it = |folder: &&Path| self.is_run(folder) || is_among(&self.entries(folder), folder, path);
        self.downwards(path.parent()?).find(is_for_it)
    }

    /// Which paths are a run folder's own, of those at and below it: others may lie beside its entries, in runs of
    /// their own or in none.
    pub fn own<'a>(&'a self, folder: &'a Path) -> impl Fn(&Path) -> bool + 'a {
        let entries = (!self.is_run(folder)).then(|| self.entries(folder));
        move |path| entries.as_ref().is_none_or(|entries| path == folder || is_among(entries, folder, path))
    }

    /// Whether some folder below this one could be a run folder, or one of its entries make this one a run.
    pub fn leads_to_runs(&self, folder: &Path) -> bool {
        self.run_folder.as_ref().is_none_or(|run_folder| run_folder.lie_in(&text(folder)))
    }

    fn entries(&self, folder: &Path) -> Vec<&Entries> {
        self.run_folder.iter().flat_map(|run_folder| run_folder.entries(&text(folder)).collect::<Vec<_>>()).collect()
    }

    /// The reason for a person why `path` is left out.
    pub fn explain(&self, path: &Path, reason: Reason) -> String {
        match reason {
            Reason::DotName => "always left out: its name begins with a dot".into(),
            Reason::Unfinished if path.parent().is_some_and(keeps_unfinished) => {
                "always left out: it lies in a folder for unfinished files".into()
            }
            Reason::Unfinished => "always left out: its name is that of an unfinished file".into(),
            Reason::Ignored | Reason::IgnoredFolder => match self.ignore.find(path) {
                Some((glob, true)) => format!("ignored: the watch's layout leaves it out ({glob})"),
                Some((glob, false)) => format!("ignored: the watch's `ignore` matches it ({glob})"),
                None => "ignored: the watch's `ignore` matches it".into(),
            },
            Reason::NoRunFolder => match &self.run_folder {
                Some(run_folder) => outside_runs(run_folder, false),
                None => unreachable!("everything in a drop folder is inside its run"),
            },
            Reason::LinkOut => "a link that leads out of the watch".into(),
            Reason::LinkToFolder => "a link to a folder".into(),
            Reason::LinkNowhere => "a link that leads nowhere".into(),
            Reason::NotRegular => "not a regular file".into(),
        }
    }

    /// `path` and its parents, topmost first, the watch itself not among them.
    fn downwards<'a>(&self, path: &'a Path) -> impl Iterator<Item = &'a Path> {
        let mut all: Vec<&Path> = path.ancestors().filter(|at| !at.as_os_str().is_empty()).collect();
        all.reverse();
        all.into_iter()
    }
}

/// The path that an unfinished file will have, where its name tells: `a.gz.part` becomes `a.gz`, as do rsync's
/// `.a.gz.Xk3f9Q` [rsync(1), --temp-dir], rclone's `a.gz.1b3f5d7e.partial` [rclone.org/docs, --partial-suffix], and
/// `.in.a.gz` with or without a dot at its end, and `.~tmp~/a.gz`.
pub(super) fn finished(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    if let Some(folder) = path.parent().filter(|folder| keeps_unfinished(folder)) {
        return Some(folder.with_file_name(name));
    }
    let within = BEFORE_UNFINISHED.iter().find_map(|before| name.strip_prefix(before));
    let undotted = within.unwrap_or_else(|| name.strip_prefix('.').unwrap_or(name));
    let finished = match (without_ending(undotted), within) {
        (Some(finished), _) => finished,
        (None, Some(within)) => within.strip_suffix('.').unwrap_or(within),
        (None, None) => {
            let (finished, random) = undotted.rsplit_once('.').filter(|_| undotted != name)?;
            let is_random = random.len() == 6 && random.bytes().all(|byte| byte.is_ascii_alphanumeric());
            is_random.then_some(finished)?
        }
    };
    (!finished.is_empty()).then(|| path.with_file_name(finished))
}

/// Whether a folder's name is that of one in which a program keeps what is not finished.
pub(super) fn keeps_unfinished(folder: &Path) -> bool {
    folder.file_name().is_some_and(|name| KEEP_UNFINISHED.iter().any(|keeps| name == *keeps))
}

/// Where in a name the ending begins under which programs write what is not finished.
fn unfinished_ending(name: &[u8]) -> Option<usize> {
    let begins = |name: &[u8], ending: &[u8]| {
        let at = name.len().checked_sub(ending.len())?;
        name[at..].eq_ignore_ascii_case(ending).then_some(at)
    };
    let of_reads = || {
        let (ending, before) = UNFINISHED_READS;
        begins(name, ending).filter(|at| before.iter().any(|before| begins(&name[..*at], before).is_some()))
    };
    UNFINISHED.iter().find_map(|ending| begins(name, ending)).or_else(of_reads)
}

/// A name without the ending, if it has one, under which programs write what is not finished.
fn without_ending(name: &str) -> Option<&str> {
    let (finished, ending) = name.split_at_checked(unfinished_ending(name.as_bytes())?)?;
    let by_rclone = finished.rsplit_once('.').filter(|(_, hash)| {
        let is_hash = (6..=8).contains(&hash.len()) && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hash && ending.eq_ignore_ascii_case(".partial")
    });
    Some(by_rclone.map_or(finished, |(finished, _)| finished))
}

/// Whether what lies at `path` is, or lies in, one of these entries of a folder.
fn is_among(entries: &[&Entries], folder: &Path, path: &Path) -> bool {
    let Some(Component::Normal(name)) = path.strip_prefix(folder).ok().and_then(|below| below.components().next())
    else {
        return false;
    };
    entries.iter().any(|entries| entries.have(&name.to_string_lossy()))
}

fn text(path: &Path) -> Cow<'_, str> {
    path.to_string_lossy()
}

#[cfg(test)]
mod tests {
    use super::super::RunByEntries;
    use super::*;
    use crate::pattern::{Pattern, Patterns};
    use globset::Glob;

    fn sieve(run_folder: Option<&str>) -> Sieve {
        let ignore = ["**/*.bak", "old/**"].map(|text| Glob::new(text).unwrap());
        Sieve {
            ignore: Ignore::new(&[], &ignore).unwrap(),
            run_folder: run_folder.map(|text| Pattern::parse(text).unwrap().into()),
        }
    }

    #[test]
    fn names_that_are_always_left_out() {
        let sieve = sieve(None);
        for name in [".nfs0001", "a/.snapshot", "a.fastq.gz.tmp", "a.part", "x.partial", "y.filepart", "z~", "A.TMP"] {
            assert!(sieve.leaves_out(Path::new(name)).is_some(), "{name}");
        }
        for name in
            ["a.gz.crdownload", "a.download", "a.gz.Incomplete", "a.inprogress", "a.in-progress", "a.gz.copying"]
        {
            assert_eq!(sieve.leaves_out(Path::new(name)), Some(Reason::Unfinished), "{name}");
        }
        for name in ["a.uploading", "a.gz.lftp", "a.gz.lftp-pget-status", "a.gz.aspx", "a.gz.aspera-ckpt"] {
            assert_eq!(sieve.leaves_out(Path::new(name)), Some(Reason::Unfinished), "{name}");
        }
        for name in ["a.temp", "a.gz.aria2", "a.gz.Upload", "a.gz_tmp", "a.fq_TMP", "a.bam_tmp"] {
            assert_eq!(sieve.leaves_out(Path::new(name)), Some(Reason::Unfinished), "{name}");
        }
        for name in ["run_tmp", "v1.2_tmp", "tmp_a.gz", "upload", "template.gz", "a.aria2.gz", "gz_tmp"] {
            assert_eq!(sieve.leaves_out(Path::new(name)), None, "{name}");
        }
        for name in ["a.fastq.gz", "tmp", "part", "a.parts", "a.tmp.gz", "download", "copying.gz", "a.download.gz"] {
            assert_eq!(sieve.leaves_out(Path::new(name)), None, "{name}");
        }
    }

    #[test]
    fn the_name_of_an_unfinished_file_tells_what_it_will_be() {
        let finished = |path: &str| finished(Path::new(path)).map(|path| path.to_str().unwrap().to_owned());
        for name in ["d/a.gz.part", "d/a.gz.TMP", "d/.a.gz.filepart", "d/.a.gz.Xk3f9Q", "d/a.gz~"] {
            assert_eq!(finished(name).as_deref(), Some("d/a.gz"), "{name}");
        }
        for name in ["d/a.gz.crdownload", "d/a.gz.copying", "d/a.gz.inprogress", "d/a.gz.aspx", "d/a.gz.lftp"] {
            assert_eq!(finished(name).as_deref(), Some("d/a.gz"), "{name}");
        }
        for name in
            ["d/a.gz.temp", "d/a.gz.aria2", "d/a.gz.upload", "d/a.gz_tmp", "d/.~tmp~/a.gz", "d/.rsync-partial/a.gz"]
        {
            assert_eq!(finished(name).as_deref(), Some("d/a.gz"), "{name}");
        }
        assert_eq!(finished(".~tmp~/a.gz").as_deref(), Some("a.gz"));
        for name in ["d/.in.a.gz", "d/.in.a.gz.", "d/.syncthing.a.gz.tmp", "d/~syncthing~a.gz.tmp"] {
            assert_eq!(finished(name).as_deref(), Some("d/a.gz"), "{name}");
        }
        assert_eq!(finished("d/a.gz.1b3f5d7e.partial").as_deref(), Some("d/a.gz"), "rclone");
        assert_eq!(finished("d/a.gz.1b3f5d7e.part").as_deref(), Some("d/a.gz.1b3f5d7e"), "not rclone");
        assert_eq!(finished("d/a.é.part").as_deref(), Some("d/a.é"));
        for name in [
            "a.gz",
            ".a.gz",
            "._a.gz",
            "a.gz.Xk3f9Q",
            ".nfs0001",
            ".part",
            ".a.gz.Xk3f9",
            ".DS_Store",
            ".in.",
            ".in",
            "~a",
            ".tmp/a.gz",
            ".rsync-partial",
        ] {
            assert_eq!(finished(name), None, "{name}");
        }
    }

    #[test]
    fn ignore_globs_see_the_whole_path_below_the_watch() {
        let sieve = sieve(None);
        assert_eq!(sieve.leaves_out(Path::new("a/b/c.bak")), Some(Reason::Ignored));
        assert_eq!(sieve.leaves_out(Path::new("old/x/y")), Some(Reason::Ignored));
        assert_eq!(sieve.leaves_out(Path::new("new/old/x")), None);
        let above = sieve.leaves_out_above(Path::new("a/.trash/b/c"));
        assert_eq!(above, Some(("a/.trash".into(), Reason::DotName)));
    }

    #[test]
    fn what_leaves_a_path_out_is_told_with_its_glob_and_whose_it_is() {
        let globs = ["Data/**", "**/*.bak"].map(|text| Glob::new(text).unwrap());
        let mut sieve = sieve(None);
        sieve.ignore = Ignore::new(&globs[..1], &globs[1..]).unwrap();
        let explained = |path: &str| sieve.explain(Path::new(path), sieve.leaves_out(Path::new(path)).unwrap());
        assert_eq!(explained("Data/x"), "ignored: the watch's layout leaves it out (Data/**)");
        assert_eq!(explained("a/x.bak"), "ignored: the watch's `ignore` matches it (**/*.bak)");
    }

    #[test]
    fn a_files_run_is_the_topmost_folder_that_matches() {
        let sieve = sieve(Some("**/{date:int}_{rest}"));
        assert_eq!(sieve.run_above(Path::new("lab/1_a/2_b/x.gz")), Some(Path::new("lab/1_a")));
        assert_eq!(sieve.run_above(Path::new("lab/x/1_a")), None, "a file is no run folder");
        assert_eq!(sieve.captures(Path::new("lab/1_a")).unwrap()["rest"], "a");
        assert!(sieve.is_run(Path::new("lab/1_a")) && !sieve.is_run(Path::new("lab")) && !sieve.is_run(Path::new("")));
        assert!(!sieve.begins_run(Path::new("lab/1_a/x.gz")), "it is one without");
        assert_eq!(sieve.captures(Path::new("")), None);
    }

    /// As an instrument writes that may do without run folders.
    fn pooled(whole: &[&str]) -> Sieve {
        let patterns = |texts: &[&str]| texts.iter().map(|text| Pattern::parse(text).unwrap()).collect::<Vec<_>>();
        let entries = ["reads*", "summary_*.txt"].map(|text| Glob::new(text).unwrap());
        let folder = Patterns::new(patterns(&["{experiment}/{sample}", "{sample}"])).unwrap();
        let by_entries = RunByEntries::new(folder, &entries).unwrap();
        Sieve { run_folder: RunFolders::new(patterns(whole), vec![by_entries]), ..sieve(None) }
    }

    const RUNS: [&str; 2] = ["{experiment}/{sample}/{date:int}_{rest}", "{sample}/{date:int}_{rest}"];

    #[test]
    fn a_folder_is_a_run_for_its_entries_alone_and_runs_may_lie_beside_them() {
        let sieve = pooled(&RUNS);
        let run = |path: &str| sieve.run_above(Path::new(path)).map(Path::to_owned);
        for own in ["reads_pass/b/x.gz", "reads_pass/1_a/x.gz", "reads_pass", "summary_1.txt", "reads_pass/summary.txt"]
        {
            let path = format!("exp/lib/{own}");
            assert_eq!(run(&path).as_deref(), Some(Path::new("exp/lib")), "{path}");
            assert!(sieve.own(Path::new("exp/lib"))(Path::new(&path)), "{path}");
        }
        for (path, its) in [
            ("exp/lib/1_a/reads_pass/x.gz", Some("exp/lib/1_a")),
            ("exp/lib/1_a/notes.txt", Some("exp/lib/1_a")),
            ("exp/lib/notes.txt", None),
            ("exp/lib/other/reads_pass/x.gz", None),
            ("exp/lib", None),
            ("lib/reads_pass/x.gz", Some("lib")),
            ("lib/1_a/x.gz", Some("lib/1_a")),
        ] {
            assert_eq!(run(path).as_deref(), its.map(Path::new), "{path}");
            assert!(!sieve.own(Path::new("exp/lib"))(Path::new(path)) || path == "exp/lib", "{path}");
        }
        assert!(sieve.own(Path::new("exp/lib/1_a"))(Path::new("exp/lib/1_a/notes.txt")), "a whole one's is all");
        assert_eq!(run("reads_pass/x.gz"), None, "the watch itself is none");
        assert_eq!(run("reads_pass/b/x.gz"), None);
    }

    #[test]
    fn a_run_by_entries_begins_with_one_and_is_looked_for_where_it_may_be() {
        let sieve = pooled(&RUNS);
        let begins = |path| sieve.begins_run(Path::new(path));
        assert!(begins("exp/lib/reads_pass") && begins("exp/lib/summary_1.txt") && begins("lib/reads"));
        assert!(
            !begins("exp/lib/notes.txt") && !begins("exp/lib/1_a") && !begins("reads") && !begins("exp/lib/x/reads")
        );
        assert!(!sieve.is_run(Path::new("exp/lib")) && sieve.is_run(Path::new("exp/lib/1_a")));
        assert_eq!(sieve.captures(Path::new("exp/lib")).unwrap()["experiment"], "exp");
        assert!(sieve.captures(Path::new("exp/lib/1_a")).unwrap().contains_key("date"), "whole ones go before");
        let leads = |folder| sieve.leads_to_runs(Path::new(folder));
        assert!(leads("") && leads("exp") && leads("exp/lib") && !leads("exp/lib/other") && !leads("a/b/c"));
        let only_entries = pooled(&[]);
        assert!(only_entries.leads_to_runs(Path::new("exp/lib")), "to see its entries");
        assert!(!only_entries.leads_to_runs(Path::new("exp/lib/1_a")));
    }

    #[test]
    fn a_folder_that_is_no_run_for_this_is_told_with_its_entries() {
        let said = outside_runs(pooled(&RUNS).run_folder.as_ref().unwrap(), false);
        let matches = "matches {sample}/{date:int}_{rest}, nor {experiment}/{sample} or {sample} for reads*, \
                       summary_*.txt in it";
        assert!(said.contains(&format!("(no folder above it {matches});")), "{said}");
        let names = ["a", "b", "c", "d"].map(|text| Glob::new(text).unwrap());
        let many = RunByEntries::new(Pattern::parse("{x}").unwrap().into(), &names).unwrap();
        let said = outside_runs(&RunFolders::new(Vec::new(), vec![many]).unwrap(), true);
        assert!(said.contains("(no folder there matches {x} for a, b, c, … in it);"), "{said}");
    }

    #[test]
    fn a_drop_folder_is_one_run() {
        let sieve = sieve(None);
        assert_eq!(sieve.run_above(Path::new("a/b")), Some(Path::new("")));
        assert!(sieve.captures(Path::new("")).is_some());
        assert!(sieve.captures(Path::new("a")).is_none());
        assert!(sieve.is_run(Path::new("")) && !sieve.is_run(Path::new("a")) && !sieve.begins_run(Path::new("a/b")));
        assert!(sieve.own(Path::new(""))(Path::new("a/b")));
    }
}
