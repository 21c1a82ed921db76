use std::time::{Duration, Instant};

use super::*;

/// What a text's syntax error says.
fn broken(text: &str) -> String {
    Document::parse("f.yaml", text).expect_err(text).to_string()
}

#[test]
fn a_text_that_is_no_yaml_says_where_and_which_trap_it_was() {
    let texts = [
        "match: *.gz\n",
        "ignore: [\"a\", **/*.bak]\n",
        "name: *sample\n",
        "a: 1\nname: {run}_{sample}\nb: 2\n",
        "name: {run}.fq\n",
        "a:\n\tb: 1\n",
        "a: b: c\n",
        "a: \"x\nb: 1\n",
        "a: \"\\d+\"\n",
        "a: `x`\n",
        "a: 1\n  b: 2\n",
        "a: [1, 2\n",
        "a: 1\n---\nb: 2\n",
        "a: !secret x\n",
        "{[a]: 1}\n",
        "? {a: 1}\n: 2\n",
        "a: \u{1}\n",
        "\u{feff}a: [",
    ];
    let errors: Vec<String> = texts.iter().map(|text| format!("{text:?}\n  {}", broken(text))).collect();
    insta::assert_snapshot!(errors.join("\n"));
}

#[test]
fn bombs_and_deep_nesting_end_soon() {
    let start = Instant::now();
    let deep = "[".repeat(100_000);
    assert!(broken(&deep).contains("not valid YAML"));
    let deep = format!("a: {}{}", "{a: ".repeat(200), "}".repeat(200));
    assert!(broken(&deep).contains("nested"), "{}", broken(&deep));
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..12 {
        let previous = format!("*a{}, ", i - 1).repeat(10);
        bomb.push_str(&format!("a{i}: &a{i} [{previous}]\n"));
    }
    assert!(broken(&bomb).contains("aliases"), "{}", broken(&bomb));
    // Few jumps, each to much: the parser's own limit counts jumps alone.
    let wide = format!("a: &a [{}]\nb: [{}]\n", "x, ".repeat(5_000), "*a, ".repeat(5_000));
    assert!(broken(&wide).contains("aliases"), "{}", broken(&wide));
    // Few values, each of them large.
    let heavy = format!("a: &a {}\nb: [{}]\n", "x".repeat(16_000), "*a, ".repeat(5_000));
    assert!(broken(&heavy).contains("aliases"), "{}", broken(&heavy));
    assert!(broken(&format!("? {}\n: 1\n", "k".repeat(5000))).contains("a key is longer than"));
    assert!(broken(&"x".repeat(20_000)).contains("a text is longer than"));
    assert!(broken(&"#".repeat(5 << 20)).contains("4 MiB"));
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

#[test]
fn scalars_keep_the_text_that_was_written() {
    let text = "a: no\nb: 0123\nc: 1e3\nd: true\ne: 1.10\nf: 788995297969977723\ng: 0x1F\nh: '~'\n7: seven\n";
    let document = Document::parse("f.yaml", text).unwrap();
    let mut map = document.root().map("").unwrap();
    let texts: Vec<String> = map.all().map(|(key, value)| format!("{key}={}", value.text("text").unwrap())).collect();
    map.finish();
    assert_eq!(texts.join(" "), "a=no b=0123 c=1e3 d=true e=1.10 f=788995297969977723 g=0x1F h=~ 7=seven");
    assert!(document.take_problems().is_empty());
}

#[test]
fn wrong_types_say_what_was_found_and_where() {
    let text = "\
settle: 30
poll: fast
rescan: 0s
chunk: 8
size: 0MB
huge: 9TB
count: 1.5
many: 65
flag: yes
name:
title: ''
list: []
template: {sample}
mode: natve
quoted: \"30\"
";
    let document = Document::parse("f.yaml", text).unwrap();
    let mut map = document.root().map("a map").unwrap();
    for key in ["settle", "poll", "rescan", "quoted"] {
        assert_eq!(map.get(key).unwrap().duration(), None);
    }
    for key in ["chunk", "size", "huge"] {
        assert_eq!(map.get(key).unwrap().size(1_000_000_000), None);
    }
    for key in ["count", "many"] {
        assert_eq!(map.get(key).unwrap().integer(1, 64), None);
    }
    for key in ["name", "title", "template"] {
        assert_eq!(map.get(key).unwrap().text("a name"), None);
    }
    map.get("flag").unwrap().boolean();
    map.get("mode").unwrap().choice(&[("auto", 1), ("native", 2)]);
    assert!(map.get("list").unwrap().items("a list of globs").is_none());
    map.finish();
    insta::assert_snapshot!(document.take_problems());
}

#[test]
fn right_values_are_read() {
    let text = r#"{"settle": "1h 30m", "size": "8MB", "binary": "64MiB", "count": 64, "flag": true, "list": ["é"]}"#;
    let document = Document::parse("f.json", text).unwrap();
    let mut map = document.root().map("a map").unwrap();
    assert_eq!(map.get("settle").unwrap().duration(), Some(Duration::from_secs(5400)));
    assert_eq!(map.get("size").unwrap().size(u64::MAX), Some(8_000_000));
    assert_eq!(map.get("binary").unwrap().size(u64::MAX), Some(64 << 20));
    assert_eq!(map.get("count").unwrap().integer(1, 64), Some(64));
    assert_eq!(map.get("flag").unwrap().boolean(), Some(true));
    assert_eq!(map.get("list").unwrap().items("").unwrap()[0].text(""), Some("é"));
    map.finish();
    assert!(document.take_problems().is_empty());
}

#[test]
fn keys_that_are_unknown_twice_or_missing_stand_at_their_place() {
    let text =
        "flow:\n  base_urll: x\n  zebra: 1\n  base_url: a\n  base_url: b\nwatch: &w\n  - verify: size\n    <<: *w\n";
    // An alias within its own anchor is refused by the parser; the merge key is tried apart.
    assert!(Document::parse("f.yaml", text).is_err());
    let document = Document::parse("f.yaml", text.replace("*w", "{}")).unwrap();
    let mut root = document.root().map("a map").unwrap();
    let mut flow = root.get("flow").unwrap().map("a map").unwrap();
    assert_eq!(flow.get("base_url").unwrap().text(""), Some("a"));
    flow.require("token", "a file");
    flow.finish();
    let mut watch = root.get("watch").unwrap().items("a list").unwrap()[0].map("a map").unwrap();
    watch.get("path");
    watch.not_yet(&["verify"]);
    watch.finish();
    root.finish();
    insta::assert_snapshot!(document.take_problems());
}

#[test]
fn an_empty_file_is_a_map_without_entries() {
    for text in ["", "# nothing\n", "---\n", "\u{feff}\n", "~"] {
        let document = Document::parse("f.yaml", text).unwrap();
        let mut map = document.root().map("a map").unwrap();
        map.require("state_dir", "a folder");
        map.finish();
        let expected = "f.yaml:1:1: the key state_dir is missing; expected a folder";
        assert_eq!(document.take_problems().to_string(), expected, "{text:?}");
    }
}

#[test]
fn the_nearest_word_is_suggested_only_when_it_is_near() {
    let known = ["base_url", "settle", "path"];
    assert_eq!(nearest("base-url", known), Some("base_url"));
    assert_eq!(nearest("baseurl", known), Some("base_url"));
    assert_eq!(nearest("setle", known), Some("settle"));
    assert_eq!(nearest("zebra", known), None);
    assert_eq!(nearest("base", known), Some("base_url"));
    assert_eq!(nearest("url", known), None, "what is within a key is mostly another one's");
    assert_eq!(nearest("bcl", ["bcl-convert", "bcl2fastq"]), None, "either");
    assert_eq!(nearest("path", ["paths", "path_of_it", "paht"]), Some("paths"));
}

#[test]
fn a_name_is_known_by_its_parts() {
    let types = ["CLIP", "RNA-Seq", "ChIP-Seq", "ATAC-Seq", "small RNA", "Whole-genome"];
    for (written, meant) in [
        ("ChIP", Some("ChIP-Seq")),
        ("chip seq", Some("ChIP-Seq")),
        ("RNA", Some("RNA-Seq")),
        ("small_rna", Some("small RNA")),
        ("genome", Some("Whole-genome")),
        ("CLOP", Some("CLIP")),
        ("RNA-Sek", Some("RNA-Seq")),
        ("WGS", None),
        ("Se", None),
        ("--", None),
    ] {
        assert_eq!(nearest_name(written, types), meant, "{written}");
    }
    assert_eq!(nearest_name("rna", ["total RNA-Seq", "RNA-Seq v2", "RNA-Seq"]), Some("RNA-Seq"));
}

#[test]
fn many_mistakes_are_told_up_to_a_number() {
    let text: String = (0..80).map(|i| format!("key{i}: 1\n")).collect();
    let document = Document::parse("f.yaml", text).unwrap();
    document.root().map("a map").unwrap().finish();
    let problems = document.take_problems();
    assert_eq!(problems.problems.len(), MOST_PROBLEMS + 1);
    assert!(problems.to_string().ends_with("and 30 more mistakes; mend these first"));
}

#[test]
fn what_a_file_says_is_told_shortly_and_without_control_characters() {
    let text = format!("\"a\\e[2J{}\": 1\nb: \"{}\\a\"\n", "k".repeat(240), "x".repeat(9000));
    let document = Document::parse("f.yaml", text).unwrap();
    let mut map = document.root().map("a map").unwrap();
    let _ = map.get("b").unwrap().parse("a word", |word| Err::<(), _>(format!("no such word: {word}")));
    map.finish();
    let told = document.take_problems().to_string();
    assert!(told.len() < 2000 && told.lines().count() == 2, "{told}");
    assert!(told.chars().all(|c| c == '\n' || !c.is_control()) && told.contains("a\\u{1b}[2J"), "{told}");
}

#[test]
fn more_mistakes_than_anybody_reads_take_no_memory() {
    let text: String = (0..20_000).map(|i| format!("key{i}: 1\n")).collect();
    let document = Document::parse("f.yaml", text).unwrap();
    document.root().map("a map").unwrap().finish();
    let told = document.take_problems().to_string();
    assert!(told.ends_with("and 9950 or more mistakes; mend these first"), "{told}");
}
