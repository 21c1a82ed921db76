//! The JSON Schemas: they know the keys that the loader knows, and take and refuse what it does.
//!
//! What a schema cannot say is listed by name in [`BEYOND`]: there alone may the loader refuse what the schema takes. The
//! other way round, nothing is left but [`STRICTER`].

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use flow_ingest::manifest::{Defaults, Manifest};
use flow_ingest::yaml::Document;
use flow_ingest::{config, layout, sample};
use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::{Value, json};

/// What the loader refuses and no schema can say: why, and what of the loader's words tells it.
const BEYOND: [(&str, &[&str]); 14] = [
    (
        "patterns, globs and values are little languages",
        &["column ", "closes nothing", "error parsing glob", "is no name", "not UTF-8"],
    ),
    (
        "names that match or run_folder capture",
        &[
            "unknown name",
            "match captures",
            "match does not capture",
            "captured by no run_folder",
            "differs between the files",
            "means nothing here",
        ],
    ),
    ("reads that match tells apart", &["this needs {read} in match", "this needs R{read} in match"]),
    ("match, which a watch with a layout does not need", &["the key match is missing"]),
    (
        "tables that a value is taken from",
        &["the rule has no sheet", "the rule has no lookup", "cannot be taken from there"],
    ),
    ("two values that must differ", &["one file cannot be both reads"]),
    ("names of which each may stand once", &["is called", "another watch watches this folder"]),
    ("folders that lie one in the other", &["lie one in the other", "lies in the watched folder"]),
    ("files that are named", &["cannot read the file"]),
    ("a folder whose name is the watch's", &["this folder's name cannot name the watch"]),
    ("a drop folder and its manifest", &["a folder without run_folder needs a marker or quiet"]),
    (
        "how large a number is",
        &[
            "expected a size up to",
            "expected a duration such as",
            "longer than nothing",
            "of one byte at least",
            "a whole number from",
            "found the number 1.",
        ],
    ),
    (
        "what is a date, a time zone or an address",
        &["expected a date such as", "this host knows no time zone", "expected an address"],
    ),
    ("a proxy that cannot reach this machine", &["a proxy on another cannot reach it"]),
];

/// What the schema refuses and the loader takes: spellings that stand nowhere in the documentation.
const STRICTER: [(&str, &str); 2] = [
    ("a date without hyphens", r#"{"/watch/0/existing": {"since": "20261101T080000Z"}}"#),
    ("an address in capitals", r#"{"/flow/base_url": "HTTPS://flow.example.org/api"}"#),
];

/// One of the two files: its schema, a document that is right and has every key, and the loader.
struct File {
    name: &'static str,
    schema: Value,
    validator: Validator,
    right: Vec<Value>,
    load: fn(&Value) -> Result<(), Vec<String>>,
}

static CONFIG: LazyLock<File> = LazyLock::new(|| File::new("config", load_config, right_configs()));
static MANIFEST: LazyLock<File> = LazyLock::new(|| File::new("manifest", load_manifest, right_manifests()));

impl File {
    fn new(name: &'static str, load: fn(&Value) -> Result<(), Vec<String>>, right: Vec<Value>) -> Self {
        let schema: Value = serde_json::from_str(&printed(&["schema", name])).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        Self { name, schema, validator, right, load }
    }

    /// That schema and loader are of one mind about a document; whether they take it.
    fn agree(&self, document: &Value) -> Result<bool, String> {
        let is_valid = self.validator.is_valid(document);
        let mistakes = match (self.load)(document) {
            Ok(()) if is_valid => return Ok(true),
            Ok(()) => {
                let why: Vec<String> = self
                    .validator
                    .iter_errors(document)
                    .map(|error| format!("{}: {error}", error.instance_path()))
                    .collect();
                return Err(format!("the schema alone refuses this {}: {document:#}\n{}", self.name, why.join("\n")));
            }
            Err(mistakes) => mistakes,
        };
        let is_beyond =
            |mistake: &String| BEYOND.iter().any(|(_, words)| words.iter().any(|word| mistake.contains(word)));
        match is_valid && !mistakes.iter().all(is_beyond) {
            false => Ok(false),
            true => Err(format!("the loader alone refuses this {}: {document:#}\n{}", self.name, mistakes.join("\n"))),
        }
    }

    /// Checks documents that differ from the first right one: at each place another value, or none (`null` within a list
    /// of one). Each says whether it is right.
    fn check(&self, cases: &[(bool, &str, Value)]) {
        let mut wrong = Vec::new();
        for (is_right, place, value) in cases {
            let mut document = self.right[0].clone();
            set(&mut document, place, value.clone());
            match self.agree(&document) {
                Ok(taken) if taken == *is_right && self.validator.is_valid(&document) == *is_right => {}
                Ok(taken) => wrong.push(format!(
                    "{place} = {value}: taken: {taken}, right: {is_right}; {:?}",
                    (self.load)(&document)
                )),
                Err(error) => wrong.push(format!("{place} = {value}: {error}")),
            }
        }
        assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n\n"));
    }
}

/// Stands for a key that is taken away.
fn gone() -> Value {
    json!(["gone"])
}

/// Puts a value at a place, making the maps on the way to it.
fn set(document: &mut Value, place: &str, value: Value) {
    let (above, key) = place.rsplit_once('/').unwrap();
    let mut at = document;
    for part in above.split('/').skip(1) {
        at = match at {
            Value::Array(list) => &mut list[part.parse::<usize>().unwrap()],
            other => &mut other[part],
        };
    }
    match at {
        Value::Array(list) => list[key.parse::<usize>().unwrap()] = value,
        Value::Object(map) if value == gone() => drop(map.remove(key)),
        other => other[key] = value,
    }
}

fn printed(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_flow-ingest")).args(arguments).env_clear().output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The manifest that the configs name, in a folder that stays for the whole test.
static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let manifest =
        r#"{"version": 1, "rules": [{"name": "a", "match": "{s}.fq", "sample": {"name": "{s}", "type": "RNA-Seq"}}]}"#;
    std::fs::write(dir.path().join("manifest.yaml"), manifest).unwrap();
    dir
});

fn load_config(document: &Value) -> Result<(), Vec<String>> {
    let loaded = config::parse(&FOLDER.path().join("flow-ingest.yaml"), document.to_string().into_bytes());
    let mistakes = |error: config::ConfigError| error.files.into_iter().flat_map(|file| file.problems);
    loaded.map(drop).map_err(|error| mistakes(error).map(|problem| problem.message).collect())
}

/// For a watch with a layout, so that a rule may go without `match`.
fn load_manifest(document: &Value) -> Result<(), Vec<String>> {
    let defaults = Defaults { layout: layout::find("ultima"), ignores: true, ..Defaults::default() };
    let loaded = Document::parse("manifest.yaml", document.to_string()).and_then(|it| Manifest::read(it, defaults));
    loaded.map(drop).map_err(|error| error.problems.into_iter().map(|problem| problem.message).collect())
}

fn right_configs() -> Vec<Value> {
    let whole = json!({
        "flow": {
            "allow_http": false, "base_url": "https://flow.example.org/api", "credentials": {"token_file": "token"},
            "chunk_size": "8MB", "connection_retries": 3, "request_timeout": "60s", "upload_retries": 3,
            "show_progress": true, "proxy": "http://proxy.example.org:3128"
        },
        "state_dir": "state",
        "timezone": "UTC",
        "uploads": {
            "concurrency": 4, "final_wait": "auto", "if_exists": "adopt", "verify": "size", "check_gzip": true
        },
        "watch": [
            {
                "name": "a", "path": "a", "manifest": "manifest.yaml", "existing": {"since": "2026-11-01"},
                "run_folder": [
                    "{date}_{flow_cell}", {"folder": ["{a}/{b}", "{b}"], "entries": ["reads", "done_*"]}
                ], "complete_when": {"any": [
                    {"marker": "Done.txt"}, {"all": ["settled", {"quiet": "1h", "of": ["**/*.fastq.gz", "*.fq"]}, {"listed": "Manifest.tsv", "optional": true}]}
                ]},
                "settle": "30s", "mode": "auto", "poll": "30s", "rescan": "15m", "ignore": ["**/*.bak"], "check_gzip": false,
                "no_reads": "block", "expect": {"within": "24h"}
            },
            {
                "path": "b", "manifest": "manifest.yaml", "existing": "skip", "layout": "ultima", "complete_when": {
                    "always": {"outcome": "Outcome.xml", "optional": true},
                    "each": [{"folder": "A/{n}", "complete_when": {"marker": "A/{n}/Done.txt"}, "own_unit": true}, {"holds": "Logs/Done.txt"}, {"holds": "Samples/", "marker": "*_Done.txt"}, {"folder": "B", "marker": "Done.txt", "complete_when": "settled"}],
                    "else": "settled"
                }
            }
        ],
        "status": {"listen": "127.0.0.1:9470"}
    });
    let least =
        json!({"state_dir": "state", "watch": [{"path": "drop", "manifest": "manifest.yaml", "existing": "upload"}]});
    let other = json!({
        "flow": {"credentials": {"username": "ada", "password_file": "password"}, "chunk_size": "auto"},
        "state_dir": "state", "status": {"listen": "none"}, "uploads": {"final_wait": "10m"},
        "watch": [{
            "path": "drop", "manifest": "manifest.yaml", "existing": "skip", "ignore": [], "run_folder": "{a}_{b}",
            "layout": "ultima"
        }]
    });
    vec![whole, least, other]
}

fn right_manifests() -> Vec<Value> {
    let whole = json!({
        "version": 1,
        "rules": [
            {
                "name": "a", "match": ["**/{sample}_R{read}_001.fastq.gz", "{sample}_R{read}.fq"],
                "where": {"sample": "RNA_*", "sheet.Project": ["a*", "b*"]}, "paired": "required",
                "reads": {"reads1": "R1", "reads2": "R3"},
                "sheet": {"path": "{run}.csv", "key": "auto", "equals": "{sample}", "missing": "block"},
                "lookup": {"file": "a.csv", "key": "{sheet.Project}", "column": "name", "missing": "skip"},
                "no_reads": "skip", "release": "manual",
                "sample": {
                    "name": "{run}_{sample}", "type": "RNA-Seq", "organism": "Hs",
                    "project": {"id": "788995297969977723", "name": "{lookup.project}"},
                    "metadata": {"strandedness": "reverse", "comments": "{lookup.comment}"}
                }
            },
            {"name": "b", "match": "Reports/{report}.html", "data": {"filename": "{run}_{report}.html", "data_type": "report"}},
            {
                "name": "c", "match": "{pool}_R{read}.fastq.gz",
                "multiplexed": {"annotation": "{pool}.xlsx", "name": "{pool}", "ignore_warnings": false}
            }
        ]
    });
    let least = json!({"version": "1", "rules": [{"name": "a", "sample": {"name": "{sample}", "type": "RNA-Seq"}}]});
    let other = json!({"version": 1, "rules": [
        {"name": "a", "match": "{sample}.bam", "sheet": null, "where": null, "paired": "never", "sample": {"name": 7, "type": true, "metadata": null}},
        {"name": "b", "match": "*.html", "data": null}
    ]});
    vec![whole, least, other]
}

#[test]
fn what_is_printed_is_what_lies_under_config() {
    for (name, file) in [("config", "flow-ingest.schema.json"), ("manifest", "manifest.schema.json")] {
        let kept = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(file)).unwrap();
        assert_eq!(printed(&["schema", name]), kept);
        assert_eq!(printed(&["schema", name, "--json"]), kept);
    }
    let both: Value = serde_json::from_str(&printed(&["schema"])).unwrap();
    let both = jsonschema::validator_for(&both).unwrap();
    for right in right_configs().iter().chain(&right_manifests()) {
        assert!(both.is_valid(right), "{right:#}");
    }
    assert!(!both.is_valid(&json!({})) && !both.is_valid(&json!({"version": 1, "rules": [{}]})));
}

#[test]
fn the_schemas_are_schemas_and_the_examples_begin_with_them() {
    for (file, example) in [(&*CONFIG, "flow-ingest.yaml"), (&*MANIFEST, "manifest.yaml")] {
        jsonschema::meta::validate(&file.schema).unwrap_or_else(|error| panic!("{error}"));
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
        let text = std::fs::read_to_string(folder.join(example)).unwrap();
        let named = text.lines().next().unwrap().strip_prefix("# yaml-language-server: $schema=").unwrap();
        assert!(folder.join(named).is_file(), "{named}");
        let document: Value = serde_yaml::from_str(&text).unwrap();
        let errors: Vec<_> = file.validator.iter_errors(&document).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{example}: {errors:?}");
    }
}

/// Each map of a document whose keys the loader knows, by the way to it, and where the schema describes it.
fn maps(name: &str) -> Vec<(&'static str, &'static str)> {
    match name {
        "config" => vec![
            ("", ""),
            ("/flow", "/$defs/flow"),
            ("/flow/credentials", "/$defs/credentials"),
            ("/uploads", "/$defs/uploads"),
            ("/status", "/$defs/status"),
            ("/watch/0", "/$defs/watch"),
            ("/watch/0/existing", "/$defs/watch/properties/existing/anyOf/1"),
            ("/watch/0/expect", "/$defs/watch/properties/expect"),
            ("/watch/0/run_folder/1", "/$defs/run_folder/anyOf/1"),
            ("/watch/0/complete_when", "/$defs/condition/anyOf/1"),
            ("/watch/1/complete_when", "/$defs/each_folder"),
            ("/watch/1/complete_when/each/0", "/$defs/each_folder/properties/each/items"),
        ],
        _ => vec![
            ("", ""),
            ("/rules/0", "/$defs/rule"),
            ("/rules/0/reads", "/$defs/rule/properties/reads"),
            ("/rules/0/sheet", "/$defs/rule/properties/sheet"),
            ("/rules/0/lookup", "/$defs/rule/properties/lookup"),
            ("/rules/0/sample", "/$defs/rule/properties/sample"),
            ("/rules/0/sample/project", "/$defs/rule/properties/sample/properties/project/anyOf/1"),
            ("/rules/1/data", "/$defs/rule/properties/data"),
            ("/rules/2/multiplexed", "/$defs/rule/properties/multiplexed"),
        ],
    }
}

/// The ways to everything in a schema that has keys of its own.
fn closed_maps(schema: &Value, way: &str, found: &mut BTreeSet<String>) {
    if schema.get("additionalProperties") == Some(&json!(false)) && schema.get("properties").is_some() {
        found.insert(way.to_owned());
    }
    match schema {
        Value::Object(map) => map.iter().for_each(|(key, value)| closed_maps(value, &format!("{way}/{key}"), found)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(n, value)| closed_maps(value, &format!("{way}/{n}"), found))
        }
        _ => {}
    }
}

/// **If this test stopped you:** a key that the loader reads stands in `config/*.schema.json` as well, with a
/// description, and in a document of `right_configs` or `right_manifests`.
#[test]
fn schema_and_loader_know_the_same_keys() {
    for file in [&*CONFIG, &*MANIFEST] {
        let mut closed = BTreeSet::new();
        closed_maps(&file.schema, "", &mut closed);
        let listed: BTreeSet<String> = maps(file.name).into_iter().map(|(_, way)| way.to_owned()).collect();
        assert_eq!(closed, listed, "the maps of the schema, and those that this test looks into");
        for (place, way) in maps(file.name) {
            let mut document = file.right[0].clone();
            set(&mut document, &format!("{place}/qqqqqqqqqqqqqqqqqqqq"), json!(1));
            let mistakes = (file.load)(&document).unwrap_err();
            let known = mistakes.iter().find_map(|mistake| mistake.strip_prefix("unknown key; expected "));
            let known = known.unwrap_or_else(|| panic!("{place}: {mistakes:?}"));
            let known: BTreeSet<&str> = known.split(", ").collect();
            let described = file.schema.pointer(way).unwrap()["properties"].as_object().unwrap();
            let keys: BTreeSet<&str> = described.keys().map(String::as_str).collect();
            assert_eq!(known, keys, "{} at {place:?}: the loader's keys, and the schema's", file.name);
        }
    }
}

#[test]
fn every_key_is_described() {
    fn look(schema: &Value, root: &Value, way: &str) {
        for (key, value) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let meant = value["$ref"].as_str().and_then(|it| root.pointer(&it[1..]));
            let said = value.get("description").or_else(|| meant?.get("description"));
            assert!(said.is_some_and(|it| it.as_str().unwrap().len() > 10), "{way}/{key}");
        }
        match schema {
            Value::Object(map) => {
                let described = map.iter().filter(|(key, _)| !matches!(key.as_str(), "if" | "then" | "not"));
                described.for_each(|(key, value)| look(value, root, &format!("{way}/{key}")));
            }
            Value::Array(list) => list.iter().for_each(|value| look(value, root, way)),
            _ => {}
        }
    }
    for file in [&*CONFIG, &*MANIFEST] {
        look(&file.schema["$defs"], &file.schema, file.name);
        look(&json!({"properties": file.schema["properties"]}), &file.schema, file.name);
    }
}

#[test]
fn lists_of_words_are_those_of_the_code() {
    let words = |file: &File, way: &str| -> Vec<String> {
        let words = file.schema.pointer(way).unwrap().as_array().unwrap().iter();
        words.map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    let layouts: Vec<String> = layout::all().map(|layout| layout.name.to_owned()).collect();
    assert_eq!(words(&CONFIG, "/$defs/watch/properties/layout/enum"), layouts);
    let reserved = words(&MANIFEST, "/$defs/rule/properties/sample/properties/metadata/propertyNames/not/enum");
    assert!(reserved.len() > 10 && reserved.iter().all(|name| sample::is_reserved_attribute(name)));
}

#[test]
fn documents_that_are_right_and_wrong_are_so_to_both() {
    for file in [&*CONFIG, &*MANIFEST] {
        for right in &file.right {
            assert_eq!(file.agree(right), Ok(true), "{right:#} {:?}", (file.load)(right));
        }
        for wrong in [json!(null), json!([]), json!({}), json!("a"), json!(1), json!([{}])] {
            assert_eq!(file.agree(&wrong), Ok(false), "{wrong}");
            assert!(!file.validator.is_valid(&wrong));
        }
    }
}

#[test]
fn each_key_of_a_config_is_taken_and_refused_by_both() {
    let mut cases = vec![
        // Missing, and not needed.
        (false, "/state_dir", gone()),
        (false, "/watch", gone()),
        (false, "/watch/0/path", gone()),
        (false, "/watch/0/manifest", gone()),
        (false, "/watch/0/existing", gone()),
        (false, "/watch/0/complete_when", gone()),
        (true, "/watch/1/complete_when", gone()),
        (true, "/watch/0/run_folder", gone()),
        (true, "/watch/0/name", gone()),
        (true, "/flow", gone()),
        (true, "/flow", json!(null)),
        (true, "/flow", json!({})),
        (false, "/flow", json!("https://flow.example.org")),
        (true, "/uploads", json!(null)),
        (true, "/status", json!(null)),
        (false, "/watch", json!([])),
        (false, "/watch", json!({})),
        (false, "/watch", json!(null)),
        (false, "/watch/0", json!(null)),
        // Unknown, and of other versions.
        (false, "/token", json!("a")),
        (false, "/flow/base-url", json!("https://flow.example.org")),
        (false, "/flow/credentials/token", json!("a")),
        (false, "/watch/0/interval", json!("30s")),
        (false, "/watch/0/<<", json!({})),
        // Exclusive.
        (false, "/flow/credentials/username", json!("ada")),
        (false, "/flow/credentials", json!({"token_file": "a", "username": "b", "password_file": "c"})),
        (false, "/flow/credentials", json!({"token_file": "a", "password_file": "c"})),
        (false, "/flow/credentials", json!({"username": "b"})),
        (false, "/flow/credentials", json!({"password_file": "c"})),
        (true, "/flow/credentials", json!({"username": 7, "password_file": "c"})),
        (true, "/flow/credentials", json!({})),
        (true, "/flow/credentials", json!(null)),
        (false, "/watch/0/complete_when", json!({"marker": "a", "quiet": "1h"})),
        (true, "/watch/0/complete_when", json!({"listed": "M.tsv"})),
        (true, "/watch/0/complete_when", json!({"outcome": "O.xml", "optional": true})),
        (false, "/watch/0/complete_when", json!({"listed": "M.tsv", "outcome": "O.xml"})),
        (true, "/watch/0/complete_when", json!({"marker": "a", "optional": true})),
        (true, "/watch/0/complete_when", json!({"marker": "a", "unless": "b"})),
        (true, "/watch/0/complete_when", json!({"marker": "a", "unless": ["b", "c/*"], "optional": false})),
        (false, "/watch/0/complete_when", json!({"marker": "a", "unless": "b", "optional": true})),
        (false, "/watch/0/complete_when", json!({"quiet": "1h", "unless": "b"})),
        (false, "/watch/0/complete_when", json!({"marker": "a", "optional": "yes"})),
        (false, "/watch/0/complete_when", json!({"quiet": "1h", "optional": true})),
        (false, "/watch/0/complete_when", json!({"optional": true})),
        (true, "/watch/0/complete_when", json!({"quiet": "1h", "of": "**/*.gz"})),
        (false, "/watch/0/complete_when", json!({"of": "**/*.gz"})),
        (false, "/watch/0/complete_when", json!({"marker": "a", "of": "**/*.gz"})),
        (false, "/watch/0/complete_when", json!({"quiet": "1h", "of": []})),
        (false, "/watch/0/complete_when", json!({"quiet": "1h", "of": null})),
        (false, "/watch/0/complete_when", json!({"always": "settled"})),
        (true, "/watch/0/complete_when", json!({"always": {"outcome": "O.xml"}, "else": {"quiet": "1h"}})),
        (false, "/watch/0/no_reads", json!("never")),
        (false, "/watch/0/expect", json!({})),
        (false, "/watch/0/expect", json!("24h")),
        (false, "/watch/0/expect", json!({"within": 24})),
        (false, "/watch/0/complete_when", json!({"each": [], "else": "settled"})),
        (false, "/watch/0/complete_when", json!({"each": null, "else": "settled"})),
        (false, "/watch/1/complete_when/else", gone()),
        (false, "/watch/1/complete_when/marker", json!("a")),
        // Addresses.
        (true, "/flow", json!({"base_url": "http://127.0.0.1:8000/api"})),
        (true, "/flow", json!({"base_url": "http://localhost/api/"})),
        (true, "/flow", json!({"base_url": "http://[::1]:8000"})),
        (false, "/flow", json!({"base_url": "http://flow.example.org/api"})),
        (false, "/flow", json!({"base_url": "http://localhost.example.org/api"})),
        (false, "/flow", json!({"base_url": "http://flow.example.org/api", "allow_http": false})),
        (true, "/flow", json!({"base_url": "http://flow.example.org/api", "allow_http": true})),
        (false, "/flow/base_url", json!("https://ada:secret@flow.example.org/api")),
        (false, "/flow/base_url", json!("https://flow.example.org/api?a=b")),
        (false, "/flow/base_url", json!("ftp://flow.example.org/api")),
        (false, "/flow/base_url", json!("flow.example.org")),
        (false, "/flow/base_url", json!(7)),
        (false, "/flow/proxy", json!("http://ada:secret@proxy:3128")),
        (false, "/flow/proxy", json!("socks5://proxy:3128")),
        (true, "/flow/proxy", json!("https://proxy:3128/")),
        (true, "/status/listen", json!("[::1]:80")),
        (true, "/status/listen", json!("none")),
        (false, "/status/listen", json!("localhost:80")),
        (false, "/status/listen", json!("127.0.0.1")),
        (false, "/status/listen", json!(9470)),
        // Sizes, durations, numbers, words.
        (true, "/flow/chunk_size", json!("auto")),
        (true, "/flow/chunk_size", json!("1.5 MiB")),
        (true, "/flow/chunk_size", json!("512k")),
        (true, "/flow/chunk_size", json!("7b")),
        (false, "/flow/chunk_size", json!("8")),
        (false, "/flow/chunk_size", json!(8_000_000)),
        (false, "/flow/chunk_size", json!("0MB")),
        (false, "/flow/chunk_size", json!("8 megabytes")),
        (false, "/flow/chunk_size", json!("MB")),
        (true, "/flow/upload_retries", json!(0)),
        (true, "/flow/connection_retries", json!(1000)),
        (false, "/flow/connection_retries", json!(1001)),
        (false, "/flow/connection_retries", json!(-1)),
        (false, "/flow/connection_retries", json!("3")),
        (false, "/flow/show_progress", json!("yes")),
        (false, "/flow/show_progress", json!(1)),
        (true, "/uploads/concurrency", json!(64)),
        (false, "/uploads/concurrency", json!(0)),
        (false, "/uploads/concurrency", json!(65)),
        (false, "/uploads/concurrency", json!(1.5)),
        (false, "/uploads/if_exists", json!("skip")),
        (true, "/uploads/if_exists", json!("block")),
        (true, "/uploads/verify", json!("download")),
        (false, "/uploads/verify", json!(true)),
        (false, "/uploads/check_gzip", json!(null)),
        (true, "/watch/0/mode", json!("native")),
        (false, "/watch/0/mode", json!("inotify")),
        // Names, paths, patterns.
        (true, "/watch/0/name", json!(7)),
        (true, "/watch/0/name", json!("núm 7")),
        (false, "/watch/0/name", json!("a/b")),
        (false, "/watch/0/name", json!("a\nb")),
        (false, "/watch/0/name", json!("")),
        (false, "/watch/0/name", json!("by hand")),
        (false, "/watch/0/name", json!(null)),
        (false, "/watch/0/path", json!({"a": 1})),
        (false, "/watch/0/path", json!("")),
        (true, "/watch/1/path", json!(7)),
        (true, "/watch/0/run_folder", json!("{date}")),
        (true, "/watch/0/run_folder", json!(["{date}", 7])),
        (false, "/watch/0/run_folder", json!([])),
        (false, "/watch/0/run_folder", json!([""])),
        (false, "/watch/0/run_folder", json!([["a"]])),
        (true, "/watch/0/run_folder", json!({"folder": "{a}", "entries": "reads"})),
        (true, "/watch/0/run_folder", json!(["{a}", {"folder": "{a}", "entries": [1, "x*"]}])),
        (false, "/watch/0/run_folder", json!({"folder": "{a}"})),
        (false, "/watch/0/run_folder", json!({"entries": "reads"})),
        (false, "/watch/0/run_folder", json!({"date": null})),
        (false, "/watch/0/run_folder", json!({})),
        (false, "/watch/0/run_folder/1/entries", json!([])),
        (false, "/watch/0/run_folder/1/entries", json!(["a/b"])),
        (false, "/watch/0/run_folder/1/entries", json!({})),
        (false, "/watch/0/run_folder/1/folder", json!([])),
        (false, "/watch/0/run_folder/1/holds", json!("reads")),
        (false, "/watch/0/layout", json!("ilumina")),
        (true, "/watch/0/layout", json!("drop-folder")),
        (true, "/watch/0/ignore", json!([])),
        (true, "/watch/0/ignore", json!([7])),
        (false, "/watch/0/ignore", json!("*.bak")),
        (false, "/watch/0/ignore", json!([null])),
        (false, "/watch/0/ignore", json!(null)),
        (true, "/watch/0/existing", json!("upload")),
        (false, "/watch/0/existing", json!("sometimes")),
        (false, "/watch/0/existing", json!({})),
        (false, "/watch/0/existing", json!(null)),
        (false, "/watch/0/existing", json!({"since": 2026})),
        (false, "/watch/0/existing", json!({"since": "yesterday"})),
        (true, "/watch/0/existing", json!({"since": "2026-11-01T08:00:00+01:00"})),
        (true, "/watch/0/existing", json!({"since": "2026-11-01 08:00"})),
        (false, "/watch/0/existing", json!({"since": "2026-11-01", "until": "2026-11-02"})),
        // Conditions.
        (true, "/watch/0/complete_when", json!("settled")),
        (false, "/watch/0/complete_when", json!("done")),
        (false, "/watch/0/complete_when", json!({})),
        (false, "/watch/0/complete_when", json!(null)),
        (false, "/watch/0/complete_when", json!([])),
        (false, "/watch/0/complete_when", json!({"quiet": "10"})),
        (false, "/watch/0/complete_when", json!({"quiet": 10})),
        (true, "/watch/0/complete_when", json!({"marker": 7})),
        (false, "/watch/0/complete_when", json!({"marker": ["a"]})),
        (false, "/watch/0/complete_when", json!({"any": []})),
        (false, "/watch/0/complete_when", json!({"any": {"marker": "a"}})),
        (false, "/watch/0/complete_when", json!({"any": [{"each": [], "else": "settled"}]})),
        (false, "/watch/0/complete_when", json!({"all": [{"any": [{"quite": "1h"}]}]})),
        (true, "/watch/0/complete_when", json!({"all": [{"any": [{"quiet": "1h"}, "settled"]}]})),
        (false, "/watch/1/complete_when/each/0/folder", gone()),
        (false, "/watch/1/complete_when/each/0/complete_when", gone()),
        (false, "/watch/1/complete_when/each/0/complete_when", json!({"each": [], "else": "settled"})),
        (true, "/watch/1/complete_when/each/0/own_unit", gone()),
        (false, "/watch/1/complete_when/each/0/own_unit", json!("true")),
        (false, "/watch/1/complete_when/each/0", json!("A")),
        (false, "/watch/1/complete_when/each/1/holds", gone()),
        (false, "/watch/1/complete_when/each/1/holds", json!(["a"])),
        (false, "/watch/1/complete_when/each/1/folder", json!("A")),
        (true, "/watch/1/complete_when/each/1/complete_when", json!({"quiet": "1h"})),
        (false, "/watch/1/complete_when/each/0/holds", json!("Done.txt")),
    ];
    for key in ["/flow/request_timeout", "/uploads/final_wait", "/watch/0/settle", "/watch/0/poll", "/watch/0/rescan"] {
        cases.push((true, key, json!("1h 30m")));
        cases.push((true, key, json!("0.5s")));
        cases.push((true, key, json!("90 minutes")));
        cases.push((false, key, json!("90")));
        cases.push((false, key, json!(90)));
        cases.push((false, key, json!("0s")));
        cases.push((false, key, json!("-1s")));
        cases.push((false, key, json!("1 fortnight")));
        cases.push((false, key, json!("")));
        cases.push((false, key, json!(true)));
    }
    CONFIG.check(&cases);
}

#[test]
fn each_key_of_a_manifest_is_taken_and_refused_by_both() {
    let cases = [
        (false, "/version", gone()),
        (false, "/version", json!(2)),
        (true, "/version", json!("1")),
        (false, "/version", json!(null)),
        (false, "/rules", gone()),
        (false, "/rules", json!([])),
        (false, "/rules", json!({"a": 1})),
        (false, "/rules/1", json!(null)),
        (false, "/rules/1", json!("b")),
        (false, "/rule", json!([])),
        (false, "/rules/0/name", gone()),
        (false, "/rules/0/name", json!("")),
        (false, "/rules/0/name", json!(["a"])),
        (true, "/rules/0/name", json!(7)),
        (true, "/rules/1", json!({"name": "b", "sample": {"name": "{sample}", "type": "a"}})),
        (true, "/rules/0/match", json!("{sample}_R{read}.fq")),
        (false, "/rules/0/match", json!([])),
        (false, "/rules/0/match", json!({"sample": null})),
        (false, "/rules/0/match", json!(null)),
        (false, "/rules/0/match", json!([["a"]])),
        (true, "/rules/0/where", json!({})),
        (true, "/rules/0/where", json!(null)),
        (true, "/rules/0/where", json!({"sample": 7})),
        (false, "/rules/0/where", json!("a*")),
        (false, "/rules/0/where", json!({"sample": []})),
        (false, "/rules/0/where", json!({"sample": null})),
        (false, "/rules/0/where", json!({"sample": {"a": "b"}})),
        (false, "/rules/0/where", json!(["a"])),
        (true, "/rules/0/paired", gone()),
        (false, "/rules/0/paired", json!("yes")),
        (false, "/rules/0/paired", json!(true)),
        (true, "/rules/0/paired", json!("never")),
        (true, "/rules/0/no_reads", json!("block")),
        (false, "/rules/0/no_reads", json!(true)),
        (false, "/rules/1/no_reads", json!("skip")),
        (false, "/rules/2/no_reads", json!("skip")),
        (true, "/rules/2/release", json!("auto")),
        (false, "/rules/0/release", json!("never")),
        (true, "/rules/0/sample/project", json!("7")),
        (true, "/rules/0/sample/project", json!({"name": "Core"})),
        (false, "/rules/0/sample/project", json!({})),
        (false, "/rules/0/sample/project", json!({"id": "7", "title": "Core"})),
        (false, "/rules/0/sample/project", json!(["7"])),
        (true, "/rules/2/multiplexed", json!({"annotation": "pooled/{pool}.csv"})),
        (false, "/rules/2/multiplexed", json!({"name": "{pool}"})),
        (false, "/rules/2/multiplexed", json!({"annotation": "/data/{pool}.csv"})),
        (false, "/rules/2/multiplexed", json!({"annotation": "../{pool}.csv"})),
        (false, "/rules/2/multiplexed", json!({"annotation": "a//b.csv"})),
        (false, "/rules/2/multiplexed", json!(null)),
        (false, "/rules/2/sample", json!({"name": "{pool}", "type": "a"})),
        (false, "/rules/2/data", json!({})),
        (true, "/rules/2/paired", json!("required")),
        (false, "/rules/0/reads", json!(null)),
        (false, "/rules/0/reads", json!({})),
        (false, "/rules/0/reads", json!({"reads1": "1"})),
        (false, "/rules/0/reads", json!({"reads1": "R12"})),
        (false, "/rules/0/reads", json!({"reads1": "R1", "reads3": "R2"})),
        (false, "/rules/0/reads", json!({"reads2": "R2"})),
        (true, "/rules/0/reads", json!({"reads1": "I1"})),
        (false, "/rules/0/reads", json!("R1")),
        (true, "/rules/0/sheet", json!({})),
        (true, "/rules/0/sheet", json!(null)),
        (false, "/rules/0/sheet", json!("SampleSheet.csv")),
        (false, "/rules/0/sheet/path", json!("")),
        (false, "/rules/0/sheet/path", json!(["a.csv"])),
        (true, "/rules/0/sheet/key", json!("Sample_ID")),
        (false, "/rules/0/sheet/key", json!(null)),
        (false, "/rules/0/sheet/equals", json!([])),
        (false, "/rules/0/sheet/missing", json!("ignore")),
        (false, "/rules/0/sheet/column", json!("Sample_ID")),
        (false, "/rules/0/lookup", json!(null)),
        (false, "/rules/0/lookup", json!({"file": "a.csv"})),
        (false, "/rules/0/lookup/file", gone()),
        (false, "/rules/0/lookup/missing", json!(false)),
        (true, "/rules/0/lookup/column", gone()),
        (false, "/rules/0/lookup/keys", json!("a")),
        (false, "/rules/0/sample", gone()),
        (false, "/rules/0/sample", json!(null)),
        (false, "/rules/0/sample", json!("a")),
        (false, "/rules/0/sample/name", gone()),
        (false, "/rules/0/sample/type", gone()),
        (false, "/rules/0/sample/type", json!("")),
        (false, "/rules/0/sample/type", json!(null)),
        (false, "/rules/0/sample/organism", json!(null)),
        (true, "/rules/0/sample/organism", gone()),
        (true, "/rules/0/sample/project", json!(788)),
        (false, "/rules/0/sample/project", json!([788])),
        (false, "/rules/0/sample/scientist", json!("Ada")),
        (true, "/rules/0/sample/metadata", json!(null)),
        (true, "/rules/0/sample/metadata", json!({"a": 1, "b__annotation": true})),
        (false, "/rules/0/sample/metadata", json!({"a": null})),
        (false, "/rules/0/sample/metadata", json!({"a": ""})),
        (false, "/rules/0/sample/metadata", json!({"a": ["b"]})),
        (false, "/rules/0/sample/metadata", json!(["a"])),
        (false, "/rules/0/sample/metadata", json!({"sample_name": "a"})),
        (false, "/rules/0/sample/metadata", json!({"organism": "Hs"})),
        (false, "/rules/0/sample/metadata", json!({"a\"b": "c"})),
        (false, "/rules/0/data", json!({"data_type": "a"})),
        (false, "/rules/0/data", json!(null)),
        (true, "/rules/1/data", json!(null)),
        (true, "/rules/1/data", json!({})),
        (false, "/rules/1/data", json!("report")),
        (false, "/rules/1/data/filename", json!("")),
        (false, "/rules/1/data/filename", json!(null)),
        (false, "/rules/1/data/type", json!("report")),
        (false, "/rules/1/data", gone()),
        (false, "/rules/1/paired", json!("auto")),
        (false, "/rules/1/reads", json!({"reads1": "R1"})),
        (true, "/rules/1/sheet", json!({"equals": "{report}"})),
    ];
    MANIFEST.check(&cases);
}

/// Each entry of [`BEYOND`] is there for a reason: a document that shows it.
#[test]
fn what_a_schema_cannot_say_is_refused_by_the_loader_alone() {
    let shown = [
        (&*MANIFEST, "/rules/0/match", json!("{sample_R{read}.fq")),
        (&*MANIFEST, "/rules/0/where", json!({"sample": "[a"})),
        (&*MANIFEST, "/rules/0/sample/name", json!("{sampel}")),
        (&*MANIFEST, "/rules/0/sample/name", json!("{sample}_{read}")),
        (&*MANIFEST, "/rules/0/match", json!("{sample}_{read}.fq")),
        (&*MANIFEST, "/rules/0/sheet", gone()),
        (&*MANIFEST, "/rules/0/reads", json!({"reads1": "R1", "reads2": "R1"})),
        (&*MANIFEST, "/rules/1/name", json!("a")),
        (&*CONFIG, "/watch/1/name", json!("a")),
        (&*CONFIG, "/watch/1/path", json!("a/b")),
        (&*CONFIG, "/state_dir", json!("a/state")),
        (&*CONFIG, "/watch/0/manifest", json!("missing.yaml")),
        (&*CONFIG, "/watch/1/path", json!("/")),
        (&*CONFIG, "/flow/chunk_size", json!("2GB")),
        (&*CONFIG, "/watch/0/settle", json!("1.5ns")),
        (&*CONFIG, "/watch/0/existing", json!({"since": "2026-02-30"})),
        (&*CONFIG, "/timezone", json!("Europe/Londn")),
        (&*CONFIG, "/status/listen", json!("127.0.0.1:99999")),
        (&*CONFIG, "/flow/base_url", json!("http://127.0.0.1/api")),
    ];
    for (file, place, value) in shown {
        let mut document = file.right[0].clone();
        set(&mut document, place, value.clone());
        assert!(file.validator.is_valid(&document), "{place} = {value}: a schema can say this");
        assert_eq!(file.agree(&document), Ok(false), "{place} = {value}");
    }
    // Without a layout, and in a drop folder whose manifest captures lanes.
    let bare = json!({"version": 1, "rules": [{"name": "a", "sample": {"name": "b", "type": "c"}}]}).to_string();
    let error = Manifest::parse("manifest.yaml", &bare).unwrap_err().to_string();
    assert!(error.contains("the key match is missing"), "{error}");
    std::fs::write(
        FOLDER.path().join("lanes.yaml"),
        bare.replace(r#""name":"a""#, r#""name":"a","match":"{s}_{lane}.fq""#),
    )
    .unwrap();
    let drop = json!({"state_dir": "state", "watch": [{"path": "drop", "manifest": "lanes.yaml", "existing": "skip"}]});
    assert!(CONFIG.validator.is_valid(&drop));
    assert_eq!(CONFIG.agree(&drop), Ok(false));
    for (what, changes) in STRICTER {
        let mut document = CONFIG.right[0].clone();
        let changes: Value = serde_json::from_str(changes).unwrap();
        changes.as_object().unwrap().iter().for_each(|(place, value)| set(&mut document, place, value.clone()));
        assert_eq!((load_config(&document), CONFIG.validator.is_valid(&document)), (Ok(()), false), "{what}");
    }
}

/// The ways to all values of a document below its root.
fn places(value: &Value, way: &str, found: &mut Vec<String>) {
    let mut below = |key: &str, value: &Value| {
        found.push(format!("{way}/{key}"));
        places(value, &format!("{way}/{key}"), found);
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| below(key, value)),
        Value::Array(list) => list.iter().enumerate().for_each(|(n, value)| below(&n.to_string(), value)),
        _ => {}
    }
}

/// Takes away, renames, or replaces what stands at a place.
fn mutate(document: &mut Value, place: &str, how: usize) {
    let (above, key) = place.rsplit_once('/').unwrap();
    let others = [
        json!(null),
        json!(true),
        json!(7),
        json!(-1),
        json!(1.5),
        json!(""),
        json!("auto"),
        json!("30s"),
        json!("8MB"),
        json!([]),
        json!({}),
        json!(["a"]),
        json!([["a"]]),
        json!({"a": "b"}),
        json!({"marker": "a"}),
        json!("settled"),
        json!("skip"),
        json!("https://a.example.org"),
        json!([{"quiet": "1h"}]),
        json!({"since": "2026-11-01"}),
        json!({"name": "z", "type": "z"}),
    ];
    let other = others[how % others.len()].clone();
    match document.pointer_mut(above) {
        Some(Value::Object(map)) => match how % 4 {
            0 => drop(map.remove(key)),
            1 => {
                let value = map.remove(key).unwrap();
                let name = ["name", "path", "type", "settle", "any", "data", "sample", "listen", "key"][how % 9];
                map.insert(if how % 8 == 1 { name.to_owned() } else { format!("{key}s") }, value);
            }
            _ => drop(map.insert(key.to_owned(), other)),
        },
        Some(Value::Array(list)) => match how % 3 {
            0 => drop(list.remove(key.parse().unwrap())),
            _ => list[key.parse::<usize>().unwrap()] = other,
        },
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever is taken away from a document that is right, renamed or replaced in it, both see it alike.
    #[test]
    fn documents_that_were_changed_by_chance_are_taken_or_refused_by_both(
        is_config: bool, which in 0..3_usize, changes in prop::collection::vec((0..1000_usize, 0..1000_usize), 1..3),
    ) {
        let file = if is_config { &*CONFIG } else { &*MANIFEST };
        let mut document = file.right[which].clone();
        for (at, how) in changes {
            let mut found = Vec::new();
            places(&document, "", &mut found);
            if !found.is_empty() {
                mutate(&mut document, &found[at % found.len()], how);
            }
        }
        if let Err(error) = file.agree(&document) {
            return Err(TestCaseError::fail(error));
        }
    }
}
