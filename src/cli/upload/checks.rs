//! What can be said of arguments before anything is asked or sent.

use std::path::Path;

use serde_json::Value;

use super::super::exit::CommandError;
use crate::agent::by_hand::GivenFile;
use crate::sample::is_reserved_attribute;

/// The metadata of `--metadata` and `--metadata-json`, each attribute once.
pub(super) fn metadata(pairs: &[String], json: Option<&str>) -> Result<Vec<(String, String)>, CommandError> {
    let mut metadata: Vec<(String, String)> = Vec::new();
    let mut add = |key: &str, value: String| {
        if is_reserved_attribute(key) {
            return Err(input(format!("cannot send metadata {key:?}: a field of the upload itself is called so")));
        }
        if metadata.iter().any(|(earlier, _)| earlier == key) {
            return Err(input(format!("metadata {key:?} is given more than once")));
        }
        metadata.push((key.to_owned(), value));
        Ok(())
    };
    for pair in pairs {
        match pair.split_once('=') {
            Some((key, value)) if !key.is_empty() => add(key, value.to_owned())?,
            _ => return Err(input(format!("cannot understand --metadata {pair:?}: expected KEY=VALUE"))),
        }
    }
    for (key, value) in json.map(json_object).transpose()?.unwrap_or_default() {
        let value = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(is_so) => is_so.to_string(),
            _ => {
                return Err(input(format!(
                    "the value of {key:?} in --metadata-json is no text, number or truth value"
                )));
            }
        };
        add(&key, value)?;
    }
    Ok(metadata)
}

/// An object's members in order; one that is given twice is an error, which a map would hide.
fn json_object(json: &str) -> Result<Vec<(String, Value)>, CommandError> {
    struct Members(Vec<(String, Value)>);
    impl<'de> serde::Deserialize<'de> for Members {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl<'de> serde::de::Visitor<'de> for Visitor {
                type Value = Members;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("a JSON object of attributes and values")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                    let mut members = Vec::new();
                    while let Some(member) = map.next_entry()? {
                        members.push(member);
                    }
                    Ok(Members(members))
                }
            }
            deserializer.deserialize_map(Visitor)
        }
    }
    let members: Result<Members, _> = serde_json::from_str(json);
    members.map(|members| members.0).map_err(|error| input(format!("cannot understand --metadata-json: {error}")))
}

/// The files of `--file KEY=PATH`, in order. Reads have flags of their own.
pub(super) fn named_files(files: &[String]) -> Result<Vec<GivenFile>, CommandError> {
    let mut given: Vec<GivenFile> = Vec::new();
    for file in files {
        let (key, path) = match file.split_once('=') {
            Some((key, path)) if !key.is_empty() && !path.is_empty() => (key, path),
            _ => return Err(input(format!("cannot understand --file {file:?}: expected KEY=PATH"))),
        };
        if key.starts_with("reads") {
            return Err(input(format!("cannot take --file {file:?}: reads are given with --reads1 and --reads2")));
        }
        if given.iter().any(|earlier| earlier.key == key) {
            return Err(input(format!("--file {key}=… is given more than once")));
        }
        given.push(GivenFile::new(key, path));
    }
    Ok(given)
}

/// One file in two places is a slip of the hand.
pub(super) fn different_files(files: &[GivenFile]) -> Result<(), CommandError> {
    for (n, file) in files.iter().enumerate() {
        if let Some(earlier) = files[..n].iter().find(|earlier| earlier.path == file.path) {
            let (path, first, second) = (file.path.display(), &earlier.key, &file.key);
            return Err(input(format!("{path} is given twice, as {first} and as {second}")));
        }
    }
    Ok(())
}

/// A file's own name, where it is text.
pub(super) fn file_name(path: &Path) -> Option<String> {
    Some(path.file_name()?.to_str()?.to_owned())
}

fn input(text: String) -> CommandError {
    CommandError::Input(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[&str], json: Option<&str>) -> Result<Vec<(String, String)>, String> {
        let pairs: Vec<String> = pairs.iter().map(|pair| (*pair).to_owned()).collect();
        metadata(&pairs, json).map_err(|error| error.to_string())
    }

    #[test]
    fn metadata_comes_in_two_forms_and_each_attribute_once() {
        let text = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            of(&["a=1=2", "b= x "], Some(r#"{"d": 1.50, "c": true, "e": "é\n"}"#)).unwrap(),
            [text("a", "1=2"), text("b", " x "), text("d", "1.5"), text("c", "true"), text("e", "é\n")]
        );
        for (pairs, json) in [
            (&["a"][..], None),
            (&["=x"], None),
            (&["a=1", "a=1"], None),
            (&["a=1"], Some(r#"{"a": "2"}"#)),
            (&[], Some(r#"{"a": "2", "a": "3"}"#)),
            (&[], Some(r#"{"a": null}"#)),
            (&[], Some(r#"{"a": ["x"]}"#)),
            (&[], Some("[]")),
            (&[], Some("{")),
            (&["previous_data=7"], None),
            (&[], Some(r#"{"is_last": "true"}"#)),
        ] {
            assert!(of(pairs, json).is_err(), "{pairs:?} {json:?}");
        }
    }

    #[test]
    fn named_files_are_named_once_and_are_no_reads() {
        let of = |files: &[&str]| named_files(&files.iter().map(|file| (*file).to_owned()).collect::<Vec<_>>());
        let files = of(&["input=a=b.csv", "gel=g.png"]).unwrap();
        assert_eq!((files[0].key.as_str(), files[0].path.to_str()), ("input", Some("a=b.csv")));
        for files in [&["input"][..], &["=x"], &["x="], &["a=1", "a=2"], &["reads1=x"], &["reads3=x"]] {
            assert!(of(files).is_err(), "{files:?}");
        }
    }
}
