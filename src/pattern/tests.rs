use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

fn captures(pattern: &str, path: &str) -> Option<Vec<(String, String)>> {
    Pattern::parse(pattern).unwrap().captures(path).map(|captures| captures.into_iter().collect())
}

fn captured(pattern: &str, path: &str, name: &str) -> Option<String> {
    Pattern::parse(pattern).unwrap().captures(path).map(|mut captures| captures.remove(name).unwrap())
}

fn matches(pattern: &str, path: &str) -> bool {
    let pattern = Pattern::parse(pattern).unwrap();
    assert_eq!(pattern.is_match(path), pattern.captures(path).is_some());
    pattern.is_match(path)
}

#[test]
fn an_illumina_name_comes_apart() {
    let pattern = "**/{sample}_S{sample_number:int}_L{lane:int}_R{read}_001.fastq.gz";
    let found = captures(pattern, "Data/Intensities/BaseCalls/my_S1-liver_S12_L003_R2_001.fastq.gz").unwrap();
    let expected = [("lane", "003"), ("read", "2"), ("sample", "my_S1-liver"), ("sample_number", "12")];
    assert_eq!(found, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
    assert!(matches(pattern, "a_S1_L001_R1_001.fastq.gz"));
    assert!(!matches(pattern, "a_S1_L001_R3_001.fastq.gz"));
    assert!(!matches(pattern, "a_S1_L001_I1_001.fastq.gz"));
    assert!(!matches(pattern, "x/a_S1_L001_R1_001.fastq.gz.md5"));
}

#[test]
fn wildcards_stay_within_a_component() {
    assert!(matches("*.txt", "a.txt"));
    assert!(matches("*.txt", ".txt"));
    assert!(!matches("*.txt", "a/b.txt"));
    assert!(matches("a?c", "aéc"));
    assert!(!matches("a?c", "ac"));
    assert!(!matches("a?c", "a/c"));
    assert!(matches("*", "line\nbreak"));
    assert!(!matches("A.txt", "a.txt"));
    assert!(!matches("a.txt", "abtxt"));
    assert!(matches(r"a[1]+(b)\x41", r"a[1]+(b)\x41"));
}

#[test]
fn people_read_patterns_without_regular_expressions() {
    let known = Captures::from([("cell".to_owned(), "1_A01".to_owned())]);
    for (text, filled, plain) in [
        ("{prefix:(?:.+_)?}RunStats.json", "*RunStats.json", "{prefix}RunStats.json"),
        ("*/*{prefix:(?:.+_)?}Run?.json", "*/*Run?.json", "*/*{prefix}Run?.json"),
        ("**/{cell:[0-9]_[A-H][0-9]{2}}/{a}{b:int}*.x", "**/1_A01/*.x", "**/{cell}/{a}{b:int}*.x"),
        (r"{{{date:[0-9]{8}\}\{}}}_{w:word}", "{*}_*", "{{date}}_{w:word}"),
        ("{all:.*}/**/{{x}}", "*/**/{x}", "{all}/**/{x}"),
    ] {
        let pattern = Pattern::parse(text).unwrap();
        assert_eq!((pattern.filled(&known).as_str(), pattern.plain().as_str()), (filled, plain), "{text}");
    }
    let several = ["**/{lab}/{date:[0-9]{8}}_{x}", "{date:[0-9]{8}}_{x}", "old_{date}_{x}", "old"];
    let several = Patterns::new(several.map(|text| Pattern::parse(text).unwrap()).to_vec()).unwrap();
    assert_eq!(several.plain(), "{date}_{x} or old_{date}_{x} or old");
}

#[test]
fn two_stars_take_any_depth_and_none() {
    for path in ["x", "a/x", "a/b/c/x"] {
        assert!(matches("**/x", path), "{path}");
    }
    for path in ["a/x", "a/b/x", "a/b/c/x"] {
        assert!(matches("a/**/x", path), "{path}");
    }
    assert!(!matches("a/**/x", "x"));
    assert!(!matches("**/x", "ax"));
    assert!(matches("Reports/**", "Reports/a/b.html"));
    assert!(matches("**", "a/b"));
    assert!(matches("**/**/x", "x"));
    assert_eq!(captured("**/{a}/**", "p/q/r", "a").unwrap(), "p");
}

#[test]
fn a_capture_takes_as_much_as_it_can() {
    assert_eq!(captured("{a}_{b}", "x_y_z", "a").unwrap(), "x_y");
    assert_eq!(captured("{a:int}{b}", "123x", "a").unwrap(), "123");
    assert_eq!(captured("{a:word}-{b}", "x_1-y-z", "b").unwrap(), "y-z");
    assert!(!matches("{a:word}", "é"));
    assert!(!matches("{a:int}", "١"));
    assert!(!matches("x{a}", "x"));
}

#[test]
fn a_kind_may_be_a_regular_expression() {
    assert_eq!(captured("{d:[0-9]{4}}_{e}", "2024_x", "d").unwrap(), "2024");
    assert!(!matches("{d:[0-9]{4}}_{e}", "24_x"));
    assert_eq!(captured("x{k:pass|fail}y", "xfaily", "k").unwrap(), "fail");
    assert_eq!(captured("{k:(a)(b)}{l}", "abc", "l").unwrap(), "c");
    assert_eq!(captured(r"{k:\{\d\}}", "{1}", "k").unwrap(), "{1}");
    assert!(!matches("{k:a|b}", "a_"));
}

#[test]
fn read_is_one_or_two_whatever_its_kind() {
    assert!(matches("R{read}", "R1"));
    assert!(!matches("R{read}", "R12"));
    assert!(matches("R{read:int}", "R2"));
    assert!(!matches("R{read:int}", "R3"));
    assert!(!matches("R{read:.+}", "R01"));
}

#[test]
fn doubled_braces_are_braces() {
    assert!(matches("{{a}}", "{a}"));
    assert_eq!(captured("{{{a}}}", "{x}", "a").unwrap(), "x");
}

#[test]
fn a_name_in_two_components_captures_one_text() {
    assert!(matches("{s}/{s}_R{read}.fq", "A/A_R1.fq"));
    assert!(!matches("{s}/{s}_R{read}.fq", "A/B_R1.fq"));
    assert!(matches("{s}/**/{s}_R{read}.fq", "A/x/y/A_R1.fq"));
    assert!(matches("**/{s}/**/{s}_R{read}.fq", "x/A/y/A_R1.fq"));
    assert!(!matches("**/{s}/**/{s}_R{read}.fq", "x/A/y/B_R1.fq"));
    assert_eq!(captured("**/{s}/**/{s}.fq", "x/A/A.fq/A.fq", "s").unwrap(), "A");
    let three = "{a}/{b}/{a}_{b}";
    assert!(matches(three, "x/y/x_y"));
    assert!(!matches(three, "x/y/y_x"));
}

#[test]
fn a_scan_learns_where_it_need_not_descend() {
    let could = |pattern: &str, folder: &str| Pattern::parse(pattern).unwrap().could_match_below(folder);
    assert!(could("Data/{x}/*.fq", ""));
    assert!(could("Data/{x}/*.fq", "Data"));
    assert!(could("Data/{x}/*.fq", "Data/1"));
    assert!(!could("Data/{x}/*.fq", "Data/1/2"));
    assert!(!could("Data/{x}/*.fq", "Images"));
    assert!(could("**/x", "any/depth/at/all"));
    assert!(could("a/**", "a"));
    assert!(!could("a/**", "b"));
    assert!(!could("{run_number}", "240115"));
}

#[test]
fn names_come_in_order_once() {
    let pattern = Pattern::parse("{b}/{a}/{b}_{read}").unwrap();
    assert_eq!(pattern.names().collect::<Vec<_>>(), ["b", "a", "read"]);
    assert_eq!(pattern.to_string(), "{b}/{a}/{b}_{read}");
}

#[test]
fn mistakes_say_where_and_what_to_write() {
    let patterns = [
        "",
        "/a",
        "a//b",
        "a/",
        "a/../b",
        "a/b**/c",
        "***",
        "x_{sample",
        "x_{sample/y}",
        "a}b",
        "{}",
        "{1st}",
        "{sample name}",
        "{lane-number:int}",
        "{run}",
        "{a}_{a}",
        "{a:}",
        "{a:x/y}",
        "{a:(?P<b>x)}",
        "{a:[0-9}",
        "{a:b)(c}",
        "{a:(?x)b#c}",
        r"{a:\w{5000}}",
        "**/{a}/{b}/{a}/{b}",
    ];
    let errors: Vec<String> =
        patterns.iter().map(|text| format!("{text}\n  {}", Pattern::parse(text).unwrap_err())).collect();
    insta::assert_snapshot!(errors.join("\n"));
}

#[test]
fn no_pattern_takes_exponential_time() {
    let start = Instant::now();
    let deep = format!("{}b", "a/".repeat(1500));
    assert!(!matches(&format!("{}c", "**/a*/".repeat(50)), &deep));
    assert!(!matches(&format!("**/{{s}}/{}{{s}}c", "**/*/".repeat(20)), &deep));
    let long = "a".repeat(255);
    assert!(!matches(&format!("{}b", "*a".repeat(60)), &long));
    assert!(!matches("{x:(a+)+b}", &long));
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[a-c{}:*?/\\\\\\[\\]().|0-9é_]{0,24}", path in "[a-c/_{}é]{0,16}") {
        if let Ok(pattern) = Pattern::parse(&text) {
            prop_assert_eq!(pattern.is_match(&path), pattern.captures(&path).is_some());
            pattern.could_match_below(&path);
        }
    }

    #[test]
    fn what_is_written_by_hand_is_captured(a in "[A-Za-z0-9-]{1,8}", lane in 1u8..9, read in 1u8..=2, depth in 0usize..4) {
        let path = format!("{}{a}_L{lane:03}_R{read}.fq", "x/".repeat(depth));
        let found = Pattern::parse("**/{a}_L{lane:int}_R{read}.fq").unwrap().captures(&path).unwrap();
        prop_assert_eq!(&found["a"], &a);
        prop_assert_eq!(found["lane"].parse::<u8>().unwrap(), lane);
        prop_assert_eq!(found["read"].parse::<u8>().unwrap(), read);
    }

    /// A path that matches lies below folders of which each could be descended into.
    #[test]
    fn descending_never_misses(path in "[ab]{1,2}(/[ab]{1,2}){0,4}", text in "(\\*\\*/)?[ab*?]{1,2}(/\\*\\*)?(/[ab?]{1,2}){0,3}") {
        let Ok(pattern) = Pattern::parse(&text) else { return Ok(()) };
        if pattern.is_match(&path) && !text.ends_with("**") {
            for (at, _) in path.match_indices('/') {
                prop_assert!(pattern.could_match_below(&path[..at]), "{} below {}", text, &path[..at]);
            }
        }
    }
}

#[test]
fn a_pattern_takes_a_bearable_amount_of_memory() {
    let mistake = |pattern: &str| Pattern::parse(pattern).unwrap_err().mistake;
    assert_eq!(mistake(&vec!["a"; 129].join("/")), Mistake::TooDeep);
    assert!(Pattern::parse(&vec!["a"; 128].join("/")).is_ok());
    let names: Vec<String> = (0..33).map(|n| format!("{{n{n}}}")).collect();
    assert_eq!(mistake(&names.join("/")), Mistake::TooManyNames);
    let large: Vec<String> = (0..32).map(|n| format!("{{n{n}:\\w{{20}}}}")).collect();
    assert_eq!(mistake(&large.join("/")), Mistake::TooLarge);
    assert!(Pattern::parse(&large[0]).is_ok());
    assert!(Pattern::parse("{sample}_S{n:int}_L{lane:int}_R{read}_001.fastq.gz").unwrap().weight() <= 1 << 16);
}
