//! Input that nobody should write, and somebody will: a clear error or a right result, in bounded time and memory.
//!
//! Through the real program, whose memory is limited and which is ended when it takes too long; and through the entries
//! that the fuzzer uses (`fuzz/`), with inputs that are nasty on purpose.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use flow_ingest::fuzzing;
use proptest::prelude::*;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::Value;
use tempfile::TempDir;

/// What the program may map, in bytes: a few times what it needs, most of which are stacks that nobody touches.
const MOST_MEMORY: u64 = 1 << 30;
/// How long it may take, on a machine that has much else to do.
const LONGEST: Duration = Duration::from_secs(180);

const MANIFEST: &str = "version: 1\nrules:\n  - name: reads\n    match: \"{sample}_R{read}.fq\"\n    sample: { name: \"{sample}\", type: RNA-Seq }\n";

/// A drop folder, a config and a manifest.
struct Bench(TempDir);

struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Bench {
    fn new(manifest: impl AsRef<[u8]>) -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        fs::create_dir(bench.path("drop")).unwrap();
        fs::write(bench.path("manifest.yaml"), manifest).unwrap();
        bench.config("")
    }

    fn config(self, more: &str) -> Self {
        let config = "state_dir: state\nstatus: { listen: none }\nwatch:\n  - path: drop\n    manifest: manifest.yaml\n    \
                      existing: upload\n    settle: 1ms\n    complete_when: { quiet: 1ms }\n";
        fs::write(self.path("flow-ingest.yaml"), format!("{config}{more}")).unwrap();
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        let (out, err) = (self.path("stdout"), self.path("stderr"));
        let mut child = Command::new(env!("CARGO_BIN_EXE_flow-ingest"))
            .args(arguments)
            .arg("--config")
            .arg(self.path("flow-ingest.yaml"))
            .env_clear()
            // Each thread would map as much again, and use none of it.
            .env("MALLOC_ARENA_MAX", "2")
            .env("HOME", self.path("home"))
            .stdin(Stdio::null())
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(&err).unwrap())
            .spawn()
            .unwrap();
        let limit = Rlimit { current: Some(MOST_MEMORY), maximum: Some(MOST_MEMORY) };
        prlimit(Some(Pid::from_child(&child)), Resource::As, limit).unwrap();
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if begun.elapsed() > LONGEST {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("{arguments:?} takes longer than {LONGEST:?}");
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let text = |path: &Path| String::from_utf8(fs::read(path).unwrap()).unwrap();
        Ended { code: status.code(), stdout: text(&out), stderr: text(&err) }
    }

    /// Refused as a mistake that is told.
    #[track_caller]
    fn refused(&self, words: &str) -> String {
        let ended = self.run(&["check"]);
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains(words), "{words:?} is not in {}", ended.stderr);
        assert!(ended.stderr.len() < 100_000, "{} bytes", ended.stderr.len());
        assert!(ended.stderr.chars().all(|c| c == '\n' || !c.is_control()), "{:?}", ended.stderr);
        ended.stderr
    }

    #[track_caller]
    fn taken(&self) {
        let ended = self.run(&["check"]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }

    #[track_caller]
    fn plan(&self) -> Value {
        let ended = self.run(&["plan", "--json"]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        serde_json::from_str(&ended.stdout).unwrap()
    }
}

/// Each line ten times the one before.
fn billion_laughs() -> String {
    let mut text = "version: 1\na: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for (last, next) in ('a'..='i').zip('b'..='j') {
        let ten = vec![format!("*{last}"); 10].join(", ");
        writeln!(text, "{next}: &{next} [{ten}]").unwrap();
    }
    text
}

#[test]
fn yaml_bombs_are_refused_as_manifest_and_as_config() {
    let one_text_often =
        format!("version: 1\na: &a {}\nrules: [{}]\n", "x".repeat(16_000), vec!["*a"; 30_000].join(","));
    let a_long_key = format!("version: 1\n? {}\n: 1\n", "k".repeat(100_000));
    let a_long_text = format!("version: 1\nrules: {}\n", "x".repeat(100_000));
    let merged = "version: 1\nrules: &r\n  - &a { name: a, <<: *r }\n";
    for (text, words) in [
        (billion_laughs(), "write out what the aliases repeat"),
        (one_text_often, "write out what the aliases repeat"),
        (a_long_key, "not valid YAML: a key is longer than 256 bytes"),
        (a_long_text, "not valid YAML: a text is longer than 16384 bytes"),
        (merged.to_owned(), "not valid YAML"),
        (format!("version: 1\nrules: {}", "[".repeat(1_000_000)), "nested this deeply"),
        (format!("version: 1\nrules: {}{}", "{a: ".repeat(200_000), "}".repeat(200_000)), "nested this deeply"),
        (format!("version: 1\nrules:\n{}", "- a\n".repeat(120_000)), "more than 100000 values"),
    ] {
        Bench::new(&text).refused(words);
        let bench = Bench::new(MANIFEST);
        fs::write(bench.path("flow-ingest.yaml"), &text).unwrap();
        bench.refused(words);
    }
}

#[test]
fn a_file_of_100_mb_is_refused_by_its_size() {
    // Real bytes and a hole: neither is read.
    for name in ["manifest.yaml", "flow-ingest.yaml"] {
        let bench = Bench::new(MANIFEST);
        let mut file = File::create(bench.path(name)).unwrap();
        let line = "# a line that goes on and on\n".repeat(1000);
        while file.metadata().unwrap().len() < 5_000_000 {
            file.write_all(line.as_bytes()).unwrap();
        }
        file.set_len(100_000_000).unwrap();
        bench.refused("the file is larger than 4 MiB");
    }
    let bench = Bench::new(MANIFEST);
    fs::remove_file(bench.path("manifest.yaml")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", bench.path("manifest.yaml")).unwrap();
    bench.refused("the file is larger than 4 MiB");
}

#[test]
fn as_many_mistakes_as_a_file_can_hold_are_told_shortly() {
    let mut keys = "version: 1\nrules:\n- name: a\n  match: '".to_owned();
    (0..32).for_each(|n| write!(keys, "{{name_of_a_capture_{n:02}}}_").unwrap());
    keys.push_str("'\n  sample: { name: a, type: b }\n  where:\n");
    (0..200).for_each(|n| writeln!(keys, "    nam_of_a_capture_{n}: x").unwrap());
    (0..12_000).for_each(|n| writeln!(keys, "  wheer{n}: x").unwrap());
    let told = Bench::new(&keys).refused("or more mistakes; mend these first");
    assert!(told.lines().count() < 60, "{told}");
    let twice = format!("version: 1\n{}", "rules: []\n".repeat(12_000));
    Bench::new(&twice).refused("the key stands twice");
    let rules: String = (0..1100).map(|n| format!("- {{ name: a{n}, match: x, data: {{}} }}\n")).collect();
    Bench::new(format!("version: 1\nrules:\n{rules}")).refused("1000 rules at most");
}

#[test]
fn bytes_that_are_no_text_are_told_and_a_mark_at_the_beginning_and_other_line_ends_are_taken() {
    let garbage: Vec<u8> = (0..50_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    Bench::new(&garbage).refused("not UTF-8");
    Bench::new(b"version: 1\nrules: \x00\x01\n").refused("not valid YAML");
    Bench::new(b"\xff\xfev\0e\0r\0").refused("not UTF-8");
    Bench::new(format!("\u{feff}{MANIFEST}")).taken();
    Bench::new(MANIFEST.replace('\n', "\r\n")).taken();
    Bench::new(format!("\u{feff}{}", MANIFEST.replace('\n', "\r\n"))).taken();
    Bench::new(MANIFEST.replace("    match", "\tmatch")).refused("a tab cannot indent");
    Bench::new("version: 1\nrules:\n  - name: \"a\\e[2J\\nb\"\n    match: x\n    match: y\n")
        .refused("the key stands twice");
    Bench::new("version: 1\nrules:\n  - { name: a, match: '{\"', data: {} }\n").refused("never closed");
}

#[test]
fn what_yaml_takes_for_something_else_stays_the_text_that_was_written() {
    for word in ["no", "on", "y", "1e3", "0123", "0x1F", "1_000", "true", "1.50", ".inf", "2026-11-24", "12:30:45"] {
        let manifest = format!(
            "version: 1\nrules:\n  - name: {word}\n    match: \"{{sample}}_R{{read}}.fq\"\n    paired: never\n    \
             sample: {{ name: {word}, type: {word}, organism: {word}, project: {word}, metadata: {{ {word}: {word} }} }}\n"
        );
        let bench = Bench::new(manifest);
        fs::write(bench.path("drop/a_R1.fq"), "reads").unwrap();
        let plan = bench.plan();
        let sample = &plan["samples"][0];
        assert_eq!((&sample["name"], &sample["rule"]), (&word.into(), &word.into()), "{plan:#}");
    }
    for nothing in ["~", "null", "", "''", "\"\""] {
        let manifest = MANIFEST.replace("name: reads", &format!("name: {nothing}"));
        Bench::new(manifest).refused("expected a name for the rule");
    }
}

#[test]
fn no_pattern_takes_exponential_time_or_all_the_memory() {
    let many: String = ('a'..='z').map(|name| format!("{{{name}}}")).collect();
    let long = "x".repeat(250);
    for (pattern, is_taken) in [
        (format!("{many}*?*?*?*.fq"), true),
        ("{a:(x+x+)+y}".to_owned(), true),
        ("{a:(x|x)*}{b:(x*)*}{c:(.*)*(.*)*(.*)*}z".to_owned(), true),
        ("{a:(?i)(([a-z])+.)+[A-Z]([a-z])+}".to_owned(), true),
        (vec!["**"; 60].join("/") + "/{a}/**/{a}y", true),
        (vec!["*x*"; 60].join("/**/").chars().take(200).collect::<String>() + "x", true),
        ("{a:\\w{1000}{1000}}".to_owned(), false),
        ("{a:((((x{100}){100}){100}){100})}".to_owned(), false),
        ("{a:x{9000}}/".repeat(60) + "b", false),
        ("(".repeat(4000), true),
        (format!("{{a:{}{}}}", "(".repeat(500), ")".repeat(500)), false),
        ("a/".repeat(2000) + "b", false),
    ] {
        let bench = Bench::new(
            MANIFEST.replace("{sample}_R{read}.fq", &pattern.replace('\\', "\\\\")).replace("{sample}", "{run}"),
        );
        if !is_taken {
            bench.refused("pattern");
            continue;
        }
        fs::create_dir(bench.path("drop").join(&long)).unwrap();
        for name in [&long, "y", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"] {
            fs::write(bench.path("drop").join(name).with_extension("q"), "reads").unwrap();
            fs::write(bench.path("drop").join(&long).join(name), "reads").unwrap();
        }
        let plan = bench.plan();
        let taken = plan["samples"].as_array().unwrap().iter().flat_map(|s| s["files"].as_array().unwrap().clone());
        let files = taken.map(|file| file["parts"].as_array().unwrap().len()).sum::<usize>();
        assert_eq!(files + plan["left_out"].as_array().unwrap().len(), 6, "{pattern}: {plan:#}");
    }
    // Each of them is bearable; all together are not.
    let rule = |n| format!("- {{ name: r{n}, match: '{{a:x{{9000}}}}', data: {{}} }}\n");
    let rules: String = (0..1000).map(rule).collect();
    Bench::new(format!("version: 1\nrules:\n{rules}")).refused("too large together");
}

#[test]
fn what_is_captured_is_a_text_and_nothing_else() {
    for (name, expected) in [
        ("..", ".."),
        ("a..b", "a..b"),
        ("..\\..\\etc", ".._.._etc"),
        ("{run}", "{run}"),
        ("{{sample}}", "{{sample}}"),
        ("{", "{"),
        ("'\"`$(id)", "'\"`$(id)"),
        ("a\nb", "a_b"),
        ("a\u{1b}[2Jb", "a_[2Jb"),
        ("%2e%2e%2f", "%2e%2e%2f"),
        ("no", "no"),
        ("a,b;c", "a,b;c"),
        ("-rf", "-rf"),
        ("\u{202e}gnp", "\u{202e}gnp"),
    ] {
        let manifest = MANIFEST.replace("type: RNA-Seq", "type: RNA-Seq, metadata: { a: \"{sample}\" }");
        let manifest = manifest.replace("name: \"{sample}\"", "name: \"x{sample}\"");
        // A name that begins with a dot would be left out.
        let bench = Bench::new(manifest.replace("{sample}_R{read}", "f{sample}_R{read}"));
        for read in [1, 2] {
            fs::write(bench.path("drop").join(format!("f{name}_R{read}.fq")), "reads").unwrap();
        }
        let plan = bench.plan();
        assert_eq!(plan["samples"][0]["name"], format!("x{expected}"), "{plan:#}");
        assert_eq!(plan["samples"].as_array().unwrap().len(), 1);
    }
    // As the whole name they would be a folder above.
    for name in [".", ".."] {
        let bench = Bench::new(MANIFEST.replace("{sample}_R{read}", "x{sample}_R{read}"));
        for read in [1, 2] {
            fs::write(bench.path("drop").join(format!("x{name}_R{read}.fq")), "reads").unwrap();
        }
        let plan = bench.plan();
        assert_eq!(plan["samples"][0]["state"], "blocked", "{plan:#}");
    }
    assert!(!Path::new("/etc/x").exists());
}

/// The fuzzer's entries, and the inputs that are kept for each.
type Target = fn(&[u8]);
const TARGETS: [(&str, Target); 9] = [
    ("manifest", fuzzing::manifest),
    ("config", fuzzing::config),
    ("pattern", fuzzing::pattern),
    ("sheet", fuzzing::sheet),
    ("outcome", fuzzing::outcome),
    ("answer_json", fuzzing::answer_json),
    ("multipart", fuzzing::multipart),
    ("form", fuzzing::form),
    ("record", fuzzing::record),
];

#[test]
fn what_the_fuzzer_begins_with_is_taken_as_it_should() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    for (name, target) in TARGETS {
        let mut seen = 0;
        for entry in fs::read_dir(seeds.join(name)).unwrap() {
            let seed = fs::read(entry.unwrap().path()).unwrap();
            // Whole, cut off at every place, and with a byte of another kind in the middle.
            for end in 0..=seed.len().min(400) {
                target(&seed[..end]);
            }
            for odd in [0, b'"', b'{', b'\n', 0xff] {
                let mut other = seed.clone();
                let middle = other.len() / 2;
                other.insert(middle, odd);
                target(&other);
            }
            target(&seed);
            seen += 1;
        }
        assert!(seen > 0, "{name} has seeds");
    }
    let listed: Vec<_> = fs::read_dir(seeds).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(listed.len(), TARGETS.len(), "each is tried here: {listed:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_taken_as_they_should(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        TARGETS.iter().for_each(|(_, target)| target(&bytes));
    }

    #[test]
    fn any_text_is_taken_as_it_should(text in "(?s)[-{}\\[\\]:,\"'&*!|>%@`#?~ \n\t\\\\/a-c0-2é\u{1b}\u{0}]{0,120}") {
        TARGETS.iter().for_each(|(_, target)| target(text.as_bytes()));
    }

    #[test]
    fn any_words_are_sent_as_they_are(words in prop::collection::vec("(?s)[^\u{0}]{0,20}", 0..8)) {
        fuzzing::multipart(words.join("\0").as_bytes());
    }
}
