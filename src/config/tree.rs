//! A folder and a manifest without a config: the keys of one watch, given on a command line.

use std::path::Path;

use jiff::tz::TimeZone;

use super::{ConfigError, Manifests, Reader, WatchConfig};
use crate::yaml::{Document, Problems};

/// What mistakes name in place of a file.
const SOURCE: &str = "the command line";

/// A folder that is looked at with a manifest; the words of `layout`, `run_folder` and `complete_when` are those of a
/// watch in the config.
#[derive(Debug, Clone)]
pub struct Tree<'a> {
    pub dir: &'a Path,
    pub manifest: &'a Path,
    pub layout: Option<&'a str>,
    pub run_folder: Option<&'a str>,
    pub complete_when: Option<&'a str>,
}

impl Tree<'_> {
    /// The watch that a config with these keys would have. Without a condition it is complete once it has settled, or,
    /// where its manifest needs a condition that tells an end, once it is quiet.
    ///
    /// # Errors
    /// Mistakes in the manifest and in the words given.
    pub fn watch(&self) -> Result<WatchConfig, ConfigError> {
        match (self.complete_when, self.layout) {
            (None, None) => {
                self.read(Some("settled")).or_else(|error| self.read(Some("{ quiet: 10m }")).map_err(|_| error))
            }
            (condition, _) => self.read(condition),
        }
    }

    fn read(&self, complete_when: Option<&str>) -> Result<WatchConfig, ConfigError> {
        let error = |problems| ConfigError { files: vec![problems] };
        let path = |path: &Path| {
            let absolute = std::path::absolute(path).ok();
            let text = absolute.as_deref().and_then(Path::to_str).map(str::to_owned);
            text.ok_or_else(|| error(Problems::of_file(path, "its name is no text")))
        };
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let dir = path(self.dir)?;
        let name = Path::new(&dir).file_name().and_then(|name| name.to_str()).unwrap_or("tree");
        let mut text = format!(
            "name: {}\npath: {}\nmanifest: {}\nexisting: upload\n",
            quoted(name),
            quoted(&dir),
            quoted(&path(self.manifest)?)
        );
        for (key, value) in [("layout", self.layout), ("run_folder", self.run_folder)] {
            text.extend(value.map(|value| format!("{key}: {}\n", quoted(value))));
        }
        text.extend(complete_when.map(|condition| format!("complete_when: {condition}\n")));
        let document = Document::parse(SOURCE, text).map_err(error)?;
        let mut reader = Reader { base: "/".into(), manifests: Manifests::default() };
        let root = document.root();
        let watched = reader.watch(&root, &TimeZone::UTC).and_then(super::watch::Read::finished);
        let mut own = document.take_problems();
        // Nobody wrote these lines.
        own.problems.iter_mut().for_each(|problem| problem.place = None);
        let mut files = vec![own];
        files.append(&mut reader.manifests.problems);
        files.retain(|problems| !problems.is_empty());
        match watched {
            Some(watched) if files.is_empty() => Ok(watched),
            _ => Err(ConfigError { files }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LANES: &str =
        "version: 1\nrules:\n- {name: a, match: '{s}_L{lane}_R{read}.fq', sample: {name: '{s}', type: x}}\n";

    #[test]
    fn a_tree_is_a_watch_with_the_same_keys_and_the_same_mistakes() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = dir.path().join("m.yaml");
        std::fs::write(&manifest, LANES).unwrap();
        let tree = Tree { dir: dir.path(), manifest: &manifest, layout: None, run_folder: None, complete_when: None };
        let watched = tree.watch().unwrap();
        assert!(watched.watch.complete_when.tells_an_end(), "which lane is the last is a guess otherwise");
        assert!(watched.watch.run_folder.is_none());
        let runs = Tree { run_folder: Some("{date:int}_{cell}"), ..tree.clone() }.watch().unwrap();
        assert!(!runs.watch.complete_when.tells_an_end() && runs.watch.run_folder.is_some());
        let layout = Tree { layout: Some("illumina"), ..tree.clone() }.watch().unwrap();
        assert_eq!(layout.layout.unwrap().name, "illumina");

        let message = |tree: Tree| tree.watch().unwrap_err().to_string();
        assert!(message(Tree { layout: Some("ilumina"), ..tree.clone() }).starts_with("the command line: layout: "));
        assert!(message(Tree { complete_when: Some("{ marker: "), ..tree.clone() }).starts_with("the command line:"));
        assert!(message(Tree { run_folder: Some("{"), ..tree.clone() }).contains("run_folder"));
        std::fs::write(&manifest, "version: 2").unwrap();
        assert!(message(tree.clone()).contains("m.yaml:1:10"), "{}", message(tree.clone()));
        std::fs::remove_file(&manifest).unwrap();
        assert!(message(tree.clone()).contains("cannot read the file"), "{}", message(tree));
    }
}
