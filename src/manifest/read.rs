//! From the manifest's document to its rules.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

use globset::{Glob, GlobSet, GlobSetBuilder};

use super::ignored::IgnoredReads;
use super::reads::Reads;
use super::template::Name;
use super::{
    DataTemplate, Defaults, Lookup, Manifest, Missing, MultiplexedTemplate, NoReads, ORDERING, Output, Paired,
    ProjectTemplate, Release, Rule, SampleTemplate, SheetRule, Table, Template, UNCHOSEN, Where,
};
use crate::layout::Layout;
use crate::pattern::{MOST_NAMES, Pattern, Patterns};
use crate::sample::is_reserved_attribute;
use crate::yaml::{Document, Map, Problems, Spot, Value, nearest};

/// The most rules of a manifest: each is asked about every file.
const MOST_RULES: usize = 1000;

/// What the patterns of a manifest may take together, in bytes.
const LARGEST_PATTERNS: usize = 32 << 20;

const RULES: &str = "a list of rules, each with name, match, and sample, data or multiplexed";

pub(super) fn manifest(document: Document, defaults: Defaults) -> Result<Manifest, Problems> {
    let default = defaults.layout.map(Default::of);
    let folder = document.file().parent().unwrap_or(Path::new(""));
    let rules = document.root().map("a map with version and rules").map(|mut root| {
        let version = root.require("version", "version: 1");
        if let Some(version) = version.filter(|version| version.as_text() != Some("1")) {
            version.expected("1, the version of manifests that this agent reads");
        }
        let rules = root.require("rules", RULES).and_then(|rules| rules.items(RULES)).unwrap_or_default();
        root.finish();
        if let Some(beyond) = rules.get(MOST_RULES) {
            beyond.problem(format_args!("a manifest has {MOST_RULES} rules at most; use patterns for what varies"));
        }
        let mut names: Vec<String> = Vec::new();
        let mut room = LARGEST_PATTERNS;
        let mut read = Vec::new();
        for value in rules.iter().take(MOST_RULES) {
            let Some(rule) = rule(value, &mut names, default.as_ref(), folder, defaults.no_reads) else { continue };
            // Rules that have the layout's patterns share them.
            let is_default = default.as_ref().is_some_and(|default| rule.pattern == default.pattern);
            let weight = if is_default { 0 } else { rule.pattern.weight() + rule.reads.weight() };
            let Some(left) = room.checked_sub(weight) else {
                value.problem("the patterns of this manifest are too large together; ask for fewer repetitions");
                break;
            };
            room = left;
            read.push(rule);
        }
        read
    });
    let problems = document.take_problems();
    match rules {
        Some(rules) if problems.is_empty() => {
            Ok(Manifest { rules, ignored: IgnoredReads::of(defaults), document: Arc::new(document) })
        }
        _ => Err(problems),
    }
}

/// What a rule without `match` takes.
struct Default {
    pattern: Patterns,
    reads: Reads,
    /// Names that the layout promises and takes from the run folder.
    from_run: Vec<&'static str>,
    has_sample_sheet: bool,
    keeps_folders_apart: bool,
}

impl Default {
    fn of(layout: &Layout) -> Self {
        let right = "a layout's patterns are right";
        let patterns = layout.reads.iter().map(|text| Pattern::parse(text).expect(right)).collect();
        let pattern = Patterns::new(patterns).expect(right);
        let reads = Reads::of(&pattern);
        let captured = pattern.names();
        let from_run = layout.captures.iter().copied().filter(|name| !captured.contains(name)).collect();
        let Layout { has_sample_sheet, keeps_folders_apart, .. } = *layout;
        Self { reads, from_run, pattern, has_sample_sheet, keeps_folders_apart }
    }
}

/// `folder` is the manifest's own, `no_reads` the watch's.
fn rule(
    value: &Value,
    rule_names: &mut Vec<String>,
    default: Option<&Default>,
    folder: &Path,
    no_reads: NoReads,
) -> Option<Rule> {
    let mut map = value.map("a rule: a map with name, match, and sample, data or multiplexed")?;
    let name = map.require("name", "a name for the rule");
    let name = name.and_then(|value| {
        let name = value.text("a name for the rule")?.to_owned();
        if rule_names.contains(&name) {
            value.problem(format_args!("another rule is called {name:?} too; give this one another name"));
        }
        rule_names.push(name.clone());
        Some(name)
    });
    let own = map.get("match").map(|value| Patterns::new(value.parse_each("a pattern", Pattern::parse)?));
    let (pattern, mut reads, from_run) = match (own, default) {
        (None, Some(default)) => (Some(default.pattern.clone()), default.reads.clone(), default.from_run.clone()),
        (None, None) => {
            let expected = "a pattern such as \"**/{sample}_R{read}.fastq.gz\", unless the watch has a layout";
            map.require("match", expected);
            (None, Reads::default(), Vec::new())
        }
        (Some(own), _) => {
            let reads = own.as_ref().map(Reads::of).unwrap_or_default();
            (own, reads, Vec::new())
        }
    };
    let captured =
        pattern.as_ref().map(|pattern| pattern.names().into_iter().chain(from_run.iter().copied()).collect());
    let (has_sheet, has_lookup) = (map.peek("sheet"), map.peek("lookup"));
    let names = Names {
        captured,
        from_run: &from_run,
        has_sheet,
        has_lookup,
        run_names: RefCell::default(),
        unchosen: RefCell::default(),
    };
    let sheet = map.get("sheet").map_or(Some(None), |value| sheet(&value, &names).map(Some));
    let may_be_declared = !has_sheet && default.is_some_and(|default| default.has_sample_sheet);
    let tacit_sheet = key_of_samples(&names).filter(|_| may_be_declared).map(SheetRule::tacit);
    let lookup = map.get("lookup").map_or(Some(None), |value| lookup(&value, &names, folder).map(Some));
    let conditions = map.get("where").map_or(Some(Vec::new()), |value| conditions(&value, &names));
    let is_data = map.peek("data");
    let makes_no_samples = is_data || map.peek("multiplexed");
    let mut paired = map.get("paired").map_or(Some(None), |value| paired(&value, &names, is_data).map(Some));
    if let Some(value) = map.get("reads") {
        if is_data {
            value.problem("every file of a data rule is one upload of its own, whatever read it is; remove the key");
        }
        map_reads(&value, &mut reads, pattern.is_some());
        // Who names two reads has two.
        paired = paired.map(|said| said.or(reads.names_mates().then_some(Paired::Required)));
    }
    let output = output(&mut map, &names);
    let no_reads = map.get("no_reads").map_or(Some(no_reads), |value| {
        if makes_no_samples {
            value.problem("this is said of samples, and the rule makes none; remove the key");
        }
        NoReads::read(&value)
    });
    let release = map
        .get("release")
        .map_or(Some(Release::Auto), |value| value.choice(&[("auto", Release::Auto), ("manual", Release::Manual)]));
    map.finish();
    let (run_names, unchosen) = (names.run_names.into_inner(), names.unchosen.into_inner());
    Some(Rule {
        name: name?,
        conditions: conditions?,
        paired: paired?,
        sheet: sheet?,
        tacit_sheet,
        keeps_folders_apart: default
            .is_some_and(|default| default.keeps_folders_apart && pattern.as_ref() == Some(&default.pattern)),
        lookup: lookup?,
        no_reads: no_reads?,
        release: release?,
        output: output?,
        run_names,
        unchosen,
        pattern: pattern?,
        reads,
        from_run,
    })
}

/// `reads: {reads1: R1, reads2: R3}`.
fn map_reads(value: &Value, reads: &mut Reads, has_pattern: bool) {
    let Some(mut map) = value.map("a map such as {reads1: R1, reads2: R3}") else { return };
    if has_pattern && !reads.have_labels() {
        value.problem("this needs R{read} in match, in the place of R1, R2, R3, I1 and I2");
    }
    let expected = "a read as its file is named: R1, R2, R3, I1 or I2";
    let mut label = |value: Value| {
        let text = value.text(expected)?;
        let is_label = matches!(text.as_bytes(), [b'R' | b'I', b'1'..=b'9']);
        if !is_label {
            value.expected(expected);
        }
        is_label.then(|| text.to_owned())
    };
    let first = map.require("reads1", expected).and_then(&mut label);
    let second = map.get("reads2").map(|value| (label(value.clone()), value));
    map.finish();
    let mut mapping = Vec::from_iter(first.map(|label| (label, "1")));
    if let Some((Some(label), value)) = second {
        if mapping.iter().any(|(first, _)| *first == label) {
            value.problem("one file cannot be both reads; name another");
        }
        mapping.push((label, "2"));
    }
    reads.map(mapping);
}

/// The names that a rule's values may take, and those that they take from the run folder.
struct Names<'p> {
    /// `None` where the pattern itself is wrong: its mistake is enough then.
    captured: Option<Vec<&'p str>>,
    /// Those among them that the run folder captures.
    from_run: &'p [&'static str],
    has_sheet: bool,
    has_lookup: bool,
    run_names: RefCell<Vec<(String, Spot)>>,
    unchosen: RefCell<Option<Spot>>,
}

impl Names<'_> {
    fn lack(&self, name: &str) -> bool {
        self.captured.as_ref().is_some_and(|captured| !captured.contains(&name))
    }

    /// Whether a file's own name or folders say it, rather than the run folder.
    fn is_of_files(&self, name: &str) -> bool {
        !self.lack(name) && !self.from_run.contains(&name)
    }

    /// What to write instead of a name that is lacking.
    fn suggestion(&self, name: &str) -> String {
        let captured = self.captured.as_deref().unwrap_or_default();
        match (nearest(name, captured.iter().copied()), captured) {
            (_, []) => "match captures nothing: write {name} there for what varies".to_owned(),
            (Some(meant), _) => format!("did you mean {{{meant}}}?"),
            (None, _) => format!("match captures {}", captured.join(", ")),
        }
    }

    /// That the rule has the table that a value is to be taken from.
    fn check_table(&self, table: Table, value: &Value) {
        match table {
            Table::Sheet if !self.has_sheet => value.problem("the rule has no sheet; add sheet: {} to it"),
            Table::Lookup if !self.has_lookup => {
                value.problem("the rule has no lookup; add lookup: {file: FILE, key: VALUE} to it");
            }
            Table::Sheet | Table::Lookup => {}
        }
    }

    /// A value of a sample by which a table is found or looked up, so that it cannot come from there.
    fn template_without(&self, value: &Value, tables: &[Table]) -> Option<Template> {
        let template = self.sample_template(value)?;
        if template.columns().any(|(table, _)| tables.contains(&table)) {
            value.problem("this is what the table is looked up by, so it cannot be taken from there");
        }
        Some(template)
    }

    /// A value of a sample, which is the same for each of its files.
    fn sample_template(&self, value: &Value) -> Option<Template> {
        let template = self.template(value)?;
        for name in template.names() {
            if let Name::Capture(name) = name
                && ORDERING.contains(&name.as_str())
            {
                value.problem(format_args!(
                    "{{{name}}} differs between the files of one sample, so its values cannot use it; \
                     capture it under another name if it tells samples apart"
                ));
            }
        }
        Some(template)
    }

    /// A value whose every name is captured.
    fn template(&self, value: &Value) -> Option<Template> {
        let template = value.parse("a value", Template::parse)?;
        for name in template.names() {
            match name {
                Name::Capture(name) if self.lack(name) => {
                    value.problem(format_args!("unknown name {{{name}}}; {}", self.suggestion(name)));
                }
                Name::RunCapture(name) => self.run_names.borrow_mut().push((name.clone(), value.spot())),
                Name::Capture(name) if self.from_run.contains(&name.as_str()) => {
                    self.run_names.borrow_mut().push((name.clone(), value.spot()));
                }
                Name::Column(table, _) => self.check_table(*table, value),
                Name::Capture(_) | Name::Run => {}
            }
        }
        Some(template)
    }
}

impl NoReads {
    /// Reads the key `no_reads`, of a rule or of the watch.
    pub fn read(value: &Value) -> Option<Self> {
        value.choice(&[("skip", Self::Skip), ("block", Self::Block)])
    }
}

fn paired(value: &Value, names: &Names, is_data: bool) -> Option<Paired> {
    let paired = value.choice(&[("auto", Paired::Auto), ("required", Paired::Required), ("never", Paired::Never)])?;
    if is_data {
        value.problem("every file of a data rule is one upload of its own, so nothing is paired; remove the key");
    } else if paired == Paired::Required && names.lack("read") {
        value.problem("this needs {read} in match, which tells reads1 from reads2");
    }
    Some(paired)
}

fn sheet(value: &Value, names: &Names) -> Option<SheetRule> {
    let mut map = value.map("a map with path, key, equals and missing, or {}")?;
    let path = map.get("path").map(|value| {
        let path = names.template_without(&value, &[Table::Sheet, Table::Lookup])?;
        if let Some(Name::Capture(name)) = path.names().find(|name| matches!(name, Name::Capture(_))) {
            value.problem(format_args!("a sheet is looked for once for a run, so {{{name}}} means nothing here"));
        }
        Some(path)
    });
    let key = map.get("key").map(|value| value.text("a column of the sheet, or auto").map(str::to_owned));
    let equals = match map.get("equals") {
        Some(value) => names.template_without(&value, &[Table::Sheet, Table::Lookup]).map(|equals| vec![equals]),
        None => {
            // Reads without a barcode are those of the sample that the folders are named after.
            let mut equals: Vec<Template> = key_of_samples(names).into_iter().collect();
            equals.extend(captured("sample").filter(|sample| !names.lack("sample") && !equals.contains(sample)));
            if equals.is_empty() {
                value.problem("match does not capture {sample} or {barcode}; say what stands in the sheet with equals");
            }
            Some(equals).filter(|equals| !equals.is_empty())
        }
    };
    let missing = missing(&mut map);
    map.finish();
    let path = path.map_or(Some(None), |path| path.map(Some));
    let key = key.map_or(Some(None), |key| key.map(|key| Some(key).filter(|key| key != "auto")));
    Some(SheetRule { path: path?, key: key?, equals: equals?, missing: missing? })
}

/// What stands in a sheet for the samples of a rule that does not say so: what their files are named after.
fn key_of_samples(names: &Names) -> Option<Template> {
    ["sample", "barcode"].into_iter().find(|name| names.is_of_files(name)).and_then(captured)
}

/// A value that is what was captured.
fn captured(name: &str) -> Option<Template> {
    Template::parse(&format!("{{{name}}}")).ok()
}

fn lookup(value: &Value, names: &Names, folder: &Path) -> Option<Lookup> {
    let mut map = value.map("a map with file and key")?;
    let file = map.require("file", "a table such as projects.csv").and_then(|value| value.text("a file"));
    let key = map.require("key", "a value such as \"{sheet.Sample_Project}\"");
    let key = key.and_then(|value| names.template_without(&value, &[Table::Lookup]));
    let column = map.get("column").map_or(Some(None), |value| {
        value.text("the column in which key is looked up").map(|name| Some(name.to_owned()))
    });
    let missing = missing(&mut map);
    map.finish();
    Some(Lookup { file: folder.join(file?), key: key?, column: column?, missing: missing? })
}

fn missing(map: &mut Map) -> Option<Missing> {
    let choices = [("block", Missing::Block), ("skip", Missing::Skip)];
    map.get("missing").map_or(Some(Missing::Block), |value| value.choice(&choices))
}

fn conditions(value: &Value, names: &Names) -> Option<Vec<Where>> {
    let mut map = value.map("a map of captured names and globs")?;
    let mut conditions = Vec::new();
    // A pattern captures fewer names: among so many, one that it does not capture is found.
    for (capture, value) in map.all().take(MOST_NAMES + 1) {
        if let Some((table, _)) = Table::split(capture) {
            names.check_table(table, &value);
        } else if names.lack(capture) {
            value.problem(format_args!("match does not capture {{{capture}}}; {}", names.suggestion(capture)));
        }
        let globs = if value.is_list() { value.items("a list of globs") } else { Some(vec![value.clone()]) };
        let globs: Option<Vec<Glob>> =
            globs.and_then(|globs| globs.iter().map(|glob| glob.parse("a glob such as RNA_*", Glob::new)).collect());
        let written: Vec<String> = globs.iter().flatten().map(|glob| glob.glob().to_owned()).collect();
        if let Some(globs) = globs.and_then(|globs| set(&value, globs)) {
            conditions.push(Where { capture: capture.to_owned(), globs, written });
        }
    }
    Some(conditions)
}

fn set(value: &Value, globs: Vec<Glob>) -> Option<GlobSet> {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        set.add(glob);
    }
    set.build().map_err(|error| value.problem(error)).ok()
}

fn output(map: &mut Map, names: &Names) -> Option<Output> {
    match (map.get("sample"), map.get("data"), map.get("multiplexed")) {
        (Some(sample), None, None) => self::sample(&sample, names).map(Output::Sample),
        (None, Some(data), None) => self::data(&data, names).map(Output::Data),
        (None, None, Some(multiplexed)) => self::multiplexed(&multiplexed, names).map(Output::Multiplexed),
        (None, None, None) => {
            let expected = "expected sample, data or multiplexed";
            map.value().problem(format_args!("the rule does not say what to make of its files; {expected}"));
            None
        }
        (_, data, multiplexed) => {
            if let Some(second) = multiplexed.or(data) {
                second.problem("a rule makes samples, generic files or multiplexed sets, one of them; write two rules");
            }
            None
        }
    }
}

fn multiplexed(value: &Value, names: &Names) -> Option<MultiplexedTemplate> {
    let mut map = value.map("a map with annotation")?;
    let name = map.get("name").map_or(Some(None), |value| names.sample_template(&value).map(Some));
    let expected = "the annotation sheet's path below the run folder, such as \"pooled/{pool}.xlsx\"";
    let annotation = map.require("annotation", expected).and_then(|value| {
        let text = value.text(expected)?;
        if text.starts_with('/') || text.split('/').any(|folder| matches!(folder, "" | "." | "..")) {
            value.expected(&format!("{expected}, without . and .."));
            return None;
        }
        names.sample_template(&value)
    });
    let ignore_warnings = map.get("ignore_warnings").map_or(Some(true), |value| value.boolean());
    map.finish();
    Some(MultiplexedTemplate { name: name?, annotation: annotation?, ignore_warnings: ignore_warnings? })
}

fn sample(value: &Value, names: &Names) -> Option<SampleTemplate> {
    let mut map = value.map("a map with name and type")?;
    let of_sample = |value: Value| names.sample_template(&value);
    let name = map.require("name", "a name such as \"{sample}\"").and_then(of_sample);
    let sample_type = map.require("type", "a sample type of Flow, such as RNA-Seq");
    let is_unchosen = |value: &&Value| value.as_text() == Some(UNCHOSEN);
    *names.unchosen.borrow_mut() = sample_type.as_ref().filter(is_unchosen).map(Value::spot);
    let sample_type = sample_type.and_then(of_sample);
    let organism = map.get("organism").map(of_sample);
    let project = map.get("project").map_or(Some(ProjectTemplate::default()), |value| project(&value, names));
    let metadata = map.get("metadata").map_or(Some(Vec::new()), |value| {
        let mut attributes = value.map("a map of attributes and values")?;
        let attribute = |(key, value): (&str, Value)| {
            if is_reserved_attribute(key) {
                value.problem("Flow would take this for a field of the upload itself; name the attribute otherwise");
                return None;
            }
            Some((key.to_owned(), of_sample(value)?))
        };
        Some(attributes.all().filter_map(attribute).collect())
    });
    map.finish();
    Some(SampleTemplate {
        name: name?,
        sample_type: sample_type?,
        organism: organism.flatten(),
        project: project?,
        metadata: metadata?,
    })
}

/// `project: ID`, or `project: {id: ID, name: NAME}` with one of the two or both.
fn project(value: &Value, names: &Names) -> Option<ProjectTemplate> {
    let expected = "a project's id, or a map with id, name or both";
    if value.as_text().is_some() {
        return Some(ProjectTemplate { id: Some(names.sample_template(value)?), name: None });
    }
    let mut map = value.map(expected)?;
    if !map.peek("id") && !map.peek("name") {
        value.expected(expected);
    }
    let mut part = |key| map.get(key).map_or(Some(None), |value| names.sample_template(&value).map(Some));
    let (id, name) = (part("id"), part("name"));
    map.finish();
    Some(ProjectTemplate { id: id?, name: name? })
}

fn data(value: &Value, names: &Names) -> Option<DataTemplate> {
    let mut map = value.map("a map with filename and data_type")?;
    let filename = map.get("filename").map(|value| names.template(&value));
    let data_type = map.get("data_type").map(|value| names.template(&value));
    map.finish();
    Some(DataTemplate { filename: filename.flatten(), data_type: data_type.flatten() })
}
