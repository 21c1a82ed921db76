use super::*;

const TWO_RULES: &str = r#"
version: 1
rules:
  - name: rnaseq
    match: "**/{sample}_S{sample_number:int}_L{lane:int}_R{read}_001.fastq.gz"
    where: { sample: ["RNA_*", "mrna*"], lane: "00[12]" }
    paired: required
    sample:
      name: "{run}_{sample}"
      type: RNA-Seq
      organism: Hs
      project: 788995297969977723
      metadata: { strandedness: reverse, flow_cell: "{run.flow_cell}", "a b": "{{{sample}}}", kept: no }
  - name: run-report
    match: "Reports/{report}_{lane}.html"
    data: { filename: "{run}_{report}_{lane}.html", data_type: report }
  - name: other
    match: "Logs/*.txt"
    data: {}
"#;

fn manifest(text: &str) -> Manifest {
    Manifest::parse("manifest.yaml", text).unwrap_or_else(|problems| panic!("{problems}"))
}

fn problems(text: &str) -> Problems {
    Manifest::parse("manifest.yaml", text).expect_err("a mistake")
}

fn captures(pairs: &[(&str, &str)]) -> Captures {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_sample_is_rendered_from_what_the_rule_captured() {
    let manifest = manifest(TWO_RULES);
    let Verdict::Taken { rule, captures: found } =
        manifest.classify("Data/RNA_{run} 1_S3_L001_R2_001.fastq.gz", &Captures::new())
    else {
        panic!("left out")
    };
    assert_eq!((rule.name.as_str(), rule.paired), ("rnaseq", Some(Paired::Required)));
    let run_captures = captures(&[("flow_cell", "HXX")]);
    let run = Run { name: "240115_A 1", captures: &run_captures };
    assert_eq!(rule.sample_name(&run, &found, "").unwrap(), "240115_A_1_RNA_{run}_1");
    let metadata = [("strandedness", "reverse"), ("flow_cell", "HXX"), ("a b", "{RNA_{run} 1}"), ("kept", "no")];
    assert_eq!(
        rule.target(&run, &found),
        Target::Sample {
            name: "240115_A_1_RNA_{run}_1".to_owned(),
            sample_type: "RNA-Seq".to_owned(),
            organism: Some("Hs".to_owned()),
            project: Some("788995297969977723".to_owned()),
            project_name: None,
            metadata: metadata.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec(),
        }
    );
}

#[test]
fn a_generic_file_keeps_its_name_unless_told_otherwise() {
    let manifest = manifest(TWO_RULES);
    let no_captures = Captures::new();
    let run = Run { name: "r1", captures: &no_captures };
    let Verdict::Taken { rule, captures } = manifest.classify("Reports/demux_3.html", &Captures::new()) else {
        panic!("left out")
    };
    assert_eq!(rule.sample_name(&run, &captures, "demux_3.html").unwrap(), "r1_demux_3.html");
    assert_eq!(
        rule.target(&run, &captures),
        Target::Data { data_type: Some("report".to_owned()), is_directory: false }
    );
    let Verdict::Taken { rule, captures } = manifest.classify("Logs/a b.txt", &Captures::new()) else {
        panic!("left out")
    };
    assert_eq!(rule.sample_name(&run, &captures, "a b.txt").unwrap(), "a_b.txt");
    assert_eq!(rule.target(&run, &captures), Target::Data { data_type: None, is_directory: false });
}

#[test]
fn what_is_left_out_hears_which_rule_nearly_took_it() {
    let manifest = manifest(TWO_RULES);
    let reason = |path: &str| match manifest.classify(path, &Captures::new()) {
        Verdict::LeftOut { reason } => reason,
        Verdict::Taken { rule, .. } | Verdict::Extra { rule, .. } => panic!("taken by {}", rule.name),
    };
    assert_eq!(reason("x/DNA_1_S1_L001_R1_001.fastq.gz"), "no rule matches; nearest: rnaseq (where: sample)");
    assert_eq!(reason("x/RNA_1_S1_L003_R1_001.fastq.gz"), "no rule matches; nearest: rnaseq (where: lane)");
    assert_eq!(reason("x/Logs/a.txt"), "no rule matches; nearest: other (match: the folders differ)");
    assert_eq!(reason("x/y.bam"), "no rule matches");
    assert_eq!(reason("x/RNA_1_001.fastq.gz"), "no rule matches; nearest: rnaseq (match: the file name differs)");
}

#[test]
fn every_rule_says_why_it_does_not_take_a_file() {
    let manifest = manifest(
        r#"
version: 1
rules:
  - { name: rna, match: "**/{sample}_R{read}.fq", where: { sample: ["RNA_*", "rna_*"] }, sample: { name: "{sample}", type: x } }
  - { name: mapped, match: "**/{sample}_R{read}.fq", reads: { reads1: R3 }, sample: { name: "{sample}", type: x } }
  - { name: single, match: "**/{sample}_R{read}.fq", paired: never, sample: { name: "{sample}", type: x } }
  - { name: rest, match: "**/*.fq", data: {} }
  - { name: other, match: "Reports/{report}.html", data: {} }
"#,
    );
    let trace = |path: &str| {
        let tried = manifest.trace(path, &Captures::new(), |_, _| None);
        let decided = manifest.classify(path, &Captures::new());
        let takes = tried.iter().find(|tried| matches!(tried.outcome, Outcome::Takes(_)));
        match decided {
            Verdict::Taken { rule, .. } if rule.name != "single" => assert_eq!(takes.unwrap().rule, rule.name),
            _ => {}
        }
        let told = tried.iter().map(|tried| {
            format!("{} [{}]: {}", tried.rule, tried.outcome.condition().unwrap_or_default(), tried.outcome.reason())
        });
        told.collect::<Vec<_>>()
    };
    assert_eq!(
        trace("x/DNA_1_R2.fq"),
        [
            "rna [where]: sample is \"DNA_1\", which is not RNA_* or rna_*",
            "mapped [reads]: reads names R3, and does not name R2",
            "single [paired]: paired: never takes reads1 alone",
            "rest [order]: it would take the file, but rule single comes first",
            "other [match]: \"x\" does not fit Reports",
        ]
    );
    assert_eq!(trace("RNA_1_R1.fq")[0], "rna []: it takes the file");
    assert_eq!(trace("Reports/a.htm")[4], "other [match]: \"a.htm\" does not fit {report}.html");
    assert_eq!(trace("RNA_1_R3.fq")[0], "rna [reads]: its samples have no place for R3; map it with reads");
}

#[test]
fn the_first_rule_wins() {
    let text = "version: 1\nrules:\n- {name: a, match: '*.x', data: {}}\n- {name: b, match: '**', data: {}}\n";
    let manifest = manifest(text);
    let rule = |path: &str| match manifest.classify(path, &Captures::new()) {
        Verdict::Taken { rule, .. } => rule.name.clone(),
        Verdict::LeftOut { reason } => panic!("{reason}"),
        Verdict::Extra { label, .. } => panic!("{label}"),
    };
    assert_eq!((rule("q.x").as_str(), rule("q.y").as_str()), ("a", "b"));
}

#[test]
fn a_manifest_may_be_json() {
    let text = r#"{"version": 1, "rules": [{"name": "a", "match": "{sample}.fq", "sample": {"name": "{sample}", "type": "x"}}]}"#;
    assert_eq!(manifest(text).rules.len(), 1);
}

#[test]
fn names_of_the_run_are_checked_against_the_watch() {
    let manifest = manifest(TWO_RULES);
    assert!(manifest.check_run_names(&["date", "flow_cell"]).is_empty());
    let messages =
        [&["flowcell"][..], &["date", "position"], &[]].map(|names| manifest.check_run_names(names).to_string());
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn every_mistake_is_told_at_once() {
    let text = r#"
version: 2
rule: []
rules:
  - name: rnaseq
    match: "{sample}_L{lane:int}.fq"
    where: { sampel: "x", lane: "[" , sample: [] }
    paired: required
    sheet: { path: x }
    sample:
      name: "{sampl}_{lane}"
      organism: {sample}
      metadata: { a: , b: "{sheet.X}", c: "{x", d: [1] }
      priority: 1
  - name: rnaseq
    match: "a//b"
    data: { filename: "{anything}", data_type: 1 }
    paired: never
  - match: "**"
  - name: both
    match: "**"
    sample: { name: a, type: b }
    data: {}
  - name: pooled
    match: "{pool}_R{read}.fq"
    multiplexed: { annotation: "/{pool}.xlsx", ignore_warnings: maybe }
  - name: pooled too
    match: "{pool}_R{read}.fq"
    multiplexed: { name: "{pool}_{read}" }
    data: {}
  - name: none
    match: "{pool}_R{read}.fq"
    multiplexed: { name: "{pool}_{read}", annotation: "{pol}.xlsx" }
  - name: projects
    match: "{sample}_R{read}.fq"
    sample: { name: "{sample}", type: x, project: {} }
  - name: projects too
    match: "{sample}_R{read}.fq"
    sample: { name: "{sample}", type: x, project: { id: [], nam: x } }
  - name: many projects
    match: "{sample}_R{read}.fq"
    sample: { name: "{sample}", type: x, project: [1] }
  - 17
"#;
    insta::assert_snapshot!(problems(text));
}

#[test]
fn mistakes_about_sheets_are_told_like_all_others() {
    let text = r#"
version: 1
rules:
  - name: a
    match: "{sample}_L{lane:int}.fq"
    where: { sheet.Project: "x", "lookup.": "y" }
    sample: { name: "{sheet.Name}", type: "{lookup.Type}", metadata: { a: "{sheet.}" } }
  - name: b
    match: "{sample}_L{lane:int}.fq"
    sheet: { pth: x, path: "{sample}/*.csv", key: [], equals: "{sheet.X}", missing: wait }
    lookup: { key: "{lookup.X}", column: "" }
    sample: { name: "{sheet.Name}", type: "{lookup.Type}" }
  - name: c
    match: "{name}.fq"
    sheet: SampleSheet.csv
    lookup: {}
    data: { filename: "{sheet.Index name}" }
  - name: d
    match: "{name}.fq"
    sheet: {}
    data: {}
"#;
    insta::assert_snapshot!(problems(text));
}

#[test]
fn a_rule_says_which_columns_it_takes() {
    let text = r#"
version: 1
rules:
  - name: a
    match: "{sample}_L{lane:int}.fq"
    where: { lookup.kind: "x" }
    sheet: { path: "/sheets/{run}_{run.flow_cell}.csv", key: Sample_Name, equals: "{sample}.1" }
    lookup: { file: tables/projects.csv, key: "{sheet.Sample_Project}" }
    sample: { name: "{sheet.Index name}", type: "{lookup.Type}", metadata: { a: "{sheet.Note} {run}", b: "x" } }
"#;
    let manifest = Manifest::parse("/etc/lab/manifest.yaml", text).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(manifest.check_run_names(&[]).problems.len(), 1);
    let rule = &manifest.rules[0];
    let columns = |table| rule.columns(table).into_iter().collect::<Vec<_>>().join(", ");
    assert_eq!(
        (columns(Table::Sheet).as_str(), columns(Table::Lookup).as_str()),
        ("Index name, Note, Sample_Project", "Type, kind")
    );
    let deciding = |table| rule.columns_of_conditions(table).into_iter().collect::<Vec<_>>().join(", ");
    assert_eq!((deciding(Table::Sheet).as_str(), deciding(Table::Lookup).as_str()), ("Sample_Project", "kind"));
    let run_captures = captures(&[("flow_cell", "HXX")]);
    let run = Run { name: "r1", captures: &run_captures };
    let sheet = rule.sheet.as_ref().unwrap();
    assert_eq!(sheet.path(&run).as_deref(), Some("/sheets/r1_HXX.csv"));
    assert_eq!(sheet.equals(&run, &captures(&[("sample", "s")])), "s.1");
    let lookup = rule.lookup.as_ref().unwrap();
    assert_eq!(lookup.file, std::path::Path::new("/etc/lab/tables/projects.csv"));
    assert_eq!(lookup.key(&run, &Captures::new()), Err("Sample_Project".to_owned()));
    assert_eq!(lookup.key(&run, &captures(&[("sheet.Sample_Project", "P")])).as_deref(), Ok("P"));
    // Metadata of an empty cell is left out; a value that all needs is lacking.
    let told = captures(&[("sheet.Index name", "n"), ("lookup.Type", "t")]);
    let Target::Sample { name, metadata, .. } = rule.target(&run, &told) else { panic!() };
    assert_eq!((name.as_str(), metadata), ("n", vec![("b".to_owned(), "x".to_owned())]));
    assert_eq!((rule.lacking(&told), rule.knows_name(&told)), (None, true));
    assert_eq!(rule.lacking(&captures(&[("sheet.Index name", "n")])), Some((Table::Lookup, "Type")));
}

#[test]
fn a_project_is_named_by_its_id_by_its_name_or_by_both() {
    let project = |project: &str| {
        let text = format!(
            "version: 1\nrules:\n  - name: a\n    match: \"{{nothing:.?}}{{sample:[a-z]}}.fq\"\n    \
             lookup: {{ file: p.csv, key: \"{{sample}}\" }}\n    \
             sample: {{ name: \"{{sample}}\", type: x, project: {project} }}\n"
        );
        let manifest = Manifest::parse("manifest.yaml", text.as_str()).unwrap_or_else(|problems| panic!("{problems}"));
        let run = Run { name: "r", captures: &Captures::new() };
        let captures = captures(&[("sample", "s"), ("lookup.id", "7"), ("lookup.name", "Core")]);
        assert_eq!(manifest.rules[0].lacking(&captures), None);
        let is_looked_up = project.contains("lookup");
        assert_eq!(manifest.rules[0].lacking(&Captures::new()).is_some(), is_looked_up);
        let Target::Sample { project, project_name, .. } = manifest.rules[0].target(&run, &captures) else { panic!() };
        [project, project_name].map(|given| given.unwrap_or_default())
    };
    assert_eq!(project("788995297969977723"), ["788995297969977723", ""]);
    assert_eq!(project("\"{lookup.id}\""), ["7", ""]);
    assert_eq!(project("{ id: 7 }"), ["7", ""]);
    assert_eq!(project("{ id: \"{lookup.id}\", name: \"{lookup.name}\" }"), ["7", "Core"]);
    assert_eq!(project("{ name: \"{sample} of {lookup.name}\" }"), ["", "s of Core"]);
    assert_eq!(project("\"{nothing}\""), ["", ""], "nothing was captured, as without a folder of the project's");
}

#[test]
fn a_multiplexed_set_is_named_after_what_tells_it_apart() {
    let text = r#"
version: 1
rules:
  - name: pools
    match: "**/{b}-{a}_S{sample_number:int}_L{lane:int}_R{read}.fq"
    multiplexed: { annotation: "sheets/{a}.xlsx" }
  - name: named
    match: "{pool}.fq"
    multiplexed: { name: "{run} {pool}", annotation: "{run}.xlsx", ignore_warnings: false }
  - name: one
    match: "pool_R{read}.fastq"
    multiplexed: { annotation: sheet.xlsx }
"#;
    let manifest = Manifest::parse("manifest.yaml", text).unwrap_or_else(|problems| panic!("{problems}"));
    let told = |rule: usize, named: &[(&str, &str)]| {
        let (rule, captures) = (&manifest.rules[rule], captures(named));
        let run = Run { name: "r1", captures: &Captures::new() };
        let Target::Multiplexed { ignore_warnings } = rule.target(&run, &captures) else { panic!() };
        let name = rule.sample_name(&run, &captures, "").unwrap();
        (name, rule.annotation(&run, &captures).unwrap(), ignore_warnings)
    };
    let (a, lanes) = (("a", "A"), [("lane", "1"), ("read", "1"), ("sample_number", "7")]);
    let [lane, read, number] = lanes;
    assert_eq!(told(0, &[a, ("b", "B"), lane, read, number]), ("B_A".into(), "sheets/A.xlsx".into(), true));
    assert_eq!(told(0, &[a, ("b", ""), lane, read, number]), ("A".into(), "sheets/A.xlsx".into(), true));
    assert_eq!(told(1, &[("pool", "P")]), ("r1_P".into(), "r1.xlsx".into(), false));
    assert_eq!(told(2, &[read]), ("one".into(), "sheet.xlsx".into(), true));
}

#[test]
fn a_manifest_without_rules_is_a_mistake() {
    for text in ["", "version: 1\n", "version: 1\nrules: []\n", "version: 1\nrules: {}\n", "- 1\n"] {
        assert!(!problems(text).is_empty(), "{text:?}");
    }
}

/// Rules for a watch with a layout; each text is what one rule has beside its name and its sample.
fn with_layout(layout: &str, ignores: bool, rules: &[&str]) -> Result<Manifest, Problems> {
    let rule =
        |(n, keys): (usize, &&str)| format!("  - {{ name: r{n}, {keys} sample: {{ name: '{{run}}', type: x }} }}\n");
    let text = format!("version: 1\nrules:\n{}", rules.iter().enumerate().map(rule).collect::<String>());
    let defaults = Defaults { layout: crate::layout::find(layout), ignores, ..Defaults::default() };
    Manifest::read(Document::parse("manifest.yaml", text).unwrap(), defaults)
}

/// What becomes of a file: the rule and its captures, the read that has no place, or why it is left out.
fn told(manifest: &Manifest, path: &str) -> String {
    match manifest.classify(path, &Captures::from([("experiment".to_owned(), "E".to_owned())])) {
        Verdict::Taken { rule, captures } => {
            let captures: Vec<String> = captures.iter().map(|(name, text)| format!("{name}={text}")).collect();
            format!("{} {}", rule.name, captures.join(" "))
        }
        Verdict::Extra { rule, label, .. } => format!("{} has no {label}", rule.name),
        Verdict::LeftOut { reason } => reason,
    }
}

#[test]
fn a_rule_without_match_takes_the_layouts_reads() {
    let manifest = with_layout("illumina", true, &[""]).unwrap();
    assert_eq!(
        told(&manifest, "p/A_b_S3_L002_R2_001.fastq.gz"),
        "r0 lane=002 project=p read=2 sample=A_b sample_number=3"
    );
    let x = told(&manifest, "Analysis/2/Data/BCLConvert/fastq/A_S1_R1_001.fastq.gz");
    assert_eq!(x, "r0 analysis=2 read=1 sample=A sample_number=1");
    let nanopore = with_layout("nanopore", true, &["where: { experiment: E },"]).unwrap();
    let path = "fastq_pass/barcode03/PAA12345_pass_barcode03_e05460c6_0f1d7e9e_11.fastq.gz";
    assert_eq!(told(&nanopore, path), "r0 barcode=barcode03 experiment=E flow_cell=PAA12345 part=11");
    let nanopore = with_layout("nanopore", true, &[""]).unwrap();
    let hash = "298b7829b9d8e8a7c6f5e4d3c2b1a0918273645f";
    for (path, barcode, part) in [
        ("barcode07/FAK72834_298b7829_0.fastq", "barcode=barcode07 ", 0),
        ("barcode07/FAK72834_e05460c6_0f1d7e9e_12.fastq.gz", "barcode=barcode07 ", 12),
        ("liver/FAK72834_liver_e05460c6_0f1d7e9e_3.fastq.gz", "barcode=liver ", 3),
        ("FAK72834_barcode07_298b7829_1.fastq", "barcode=barcode07 ", 1),
        ("FAK72834_298b7829_0.fastq.gz", "", 0),
        (&format!("FAK72834_pass_{hash}_4.fastq"), "", 4),
        (&format!("FAK72834_{hash}_5.fastq"), "", 5),
    ] {
        let captures = format!("r0 {barcode}experiment=E flow_cell=FAK72834 part={part}");
        assert_eq!(told(&nanopore, &format!("fastq_pass/{path}")), captures, "{path}");
    }
    for other in ["barcode07/merged_1.fastq.gz", "reads_R1.fastq.gz"] {
        assert!(told(&nanopore, &format!("fastq_pass/{other}")).starts_with("no rule matches"), "{other}");
    }
    let error = with_layout("none", true, &[""]).unwrap_err().to_string();
    assert!(error.contains("the key match is missing"), "{error}");
}

#[test]
fn what_a_layout_ignores_is_taken_only_by_a_rule_that_names_it() {
    let undetermined = "Undetermined_S0_L001_R1_001.fastq.gz";
    let everything = "match: '**/{sample}_S{sample_number:int}_L{lane:int}_R{read}_001.fastq.gz',";
    let ignored =
        "ignored by the layout illumina: reads that no sample was found for; name it in a rule's match to take it";
    for rules in [&[""][..], &[everything]] {
        assert_eq!(told(&with_layout("illumina", true, rules).unwrap(), undetermined), ignored);
    }
    for naming in
        ["where: { sample: Undetermined },", "match: '**/{sample:Undetermined}_S0_L{lane}_R{read}_001.fastq.gz',"]
    {
        let lower = naming.replace('U', "u");
        let by_lower = with_layout("illumina", true, &[everything, &lower]).unwrap();
        assert!(told(&by_lower, &undetermined.replace('U', "u")).starts_with("r1 "), "{lower}");
        assert_eq!(told(&by_lower, undetermined), ignored, "{lower}");
        let manifest = with_layout("illumina", true, &[everything, naming]).unwrap();
        assert!(told(&manifest, undetermined).starts_with("r1 "), "{naming}");
        assert!(told(&manifest, "A_S1_L001_R1_001.fastq.gz").starts_with("r0 "));
    }
    assert!(told(&with_layout("illumina", false, &[""]).unwrap(), undetermined).starts_with("r0 "));
    let failed = "fastq_fail/barcode01/F_fail_barcode01_e05460c6_0f1d7e9e_1.fastq.gz";
    let naming = "match: 'fastq_fail/{barcode}/{flow_cell}_fail_*_{part:int}.fastq.gz',";
    assert!(
        told(&with_layout("nanopore", true, &["match: '**/{x}.fastq.gz',"]).unwrap(), failed).contains("failed reads")
    );
    assert!(told(&with_layout("nanopore", true, &["match: '**/{x}.gz',", naming]).unwrap(), failed).starts_with("r1 "));
}

#[test]
fn a_project_below_a_folder_that_illumina_does_not_know_is_the_files_own_folder_unless_a_match_says_more() {
    let own = "match: 'out/{project}/*/{sample}_S{sample_number:int}_L{lane:int}_R{read}_001.fastq.gz',";
    for (rule, project) in [("", "ID1"), (own, "P")] {
        let manifest = with_layout("illumina", true, &[rule]).unwrap();
        let told = told(&manifest, "out/P/ID1/A_S1_L001_R1_001.fastq.gz");
        assert!(told.contains(&format!("project={project} ")), "{told}");
    }
}

#[test]
fn a_sample_that_is_called_somewhat_like_what_nobody_wants_is_taken() {
    let nanopore =
        |kind: &str, alias: &str| format!("fastq_{kind}/{alias}/PAA12345_{kind}_{alias}_e05460c6_0f1d7e9e_0.fastq.gz");
    let old = "fastq_pass/PAA12345_pass_unclassified_298b7829b9d8e8a7c6f5e4d3c2b1a0918273645f_0.fastq".to_owned();
    let bare = "fastq_pass/FAK72834_unclassified_298b7829_0.fastq".to_owned();
    let element = |sample: &str, read: &str| format!("Samples/P/{sample}/{sample}_{read}.fastq.gz");
    let singular = |name: &str| format!("demux_filtered_fastqs/{name}.fastq.gz");
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let cases: [(&str, Vec<String>, Vec<String>); 5] = [
        (
            "illumina",
            texts(&["undetermined_tissue_S3_L001_R1_001.fastq.gz", "Undetermined_S10_L001_R1_001.fastq.gz"]),
            texts(&[
                "Undetermined_S0_L001_R1_001.fastq.gz",
                "undetermined_S0_L001_R1_001.fastq.gz",
                "Unaligned/P/undetermined_S0_R2_001.fastq.gz",
            ]),
        ),
        (
            "drop-folder",
            texts(&[
                "donor_I1_R1.fastq.gz",
                "donor_I10_R2.fq.gz",
                "d/x_I2C_R1_001.fastq.gz",
                "donor_I1.final_R1.fq.gz",
                "donor_I1_S3_L001_R1_001.fastq.gz",
                "Undetermined_tissue_R1.fastq.gz",
                "Unassigned_liver_1.fq.gz",
            ]),
            texts(&[
                "a_I1.fastq.gz",
                "d/donor_I1_I1_001.fq.gz",
                "a_S1_L001_I2_001.fastq.gz",
                "a_I2.fastq",
                "Undetermined_S0_L001_R1_001.fastq.gz",
                "Undetermined_S0_R2_001.fastq.gz",
                "d/Undetermined_R1.fastq.gz",
                "Undetermined_R2_001.fq.gz",
                "Undetermined_L002_R1.fastq.gz",
                "Undetermined_1.fastq.gz",
                "undetermined_S0_L001_R1_001.fastq.gz",
                "unassigned_2.fq.gz",
                "Unassigned_R1.fastq.gz",
            ]),
        ),
        (
            "element",
            vec![
                element("Unassigned_liver", "R1"),
                element("d_I1", "R2"),
                element("PhiX_spike", "R1"),
                element("noPhiX", "R1"),
            ],
            vec![
                element("PhiX", "R1"),
                element("PhiX_L1", "R2"),
                element("PhiX_Third", "R2"),
                "Samples/PhiX/PhiX_R1.fastq.gz".to_owned(),
                element("Unassigned", "R1"),
                element("Unassigned", "I2"),
                element("d_I1", "I1"),
                element("Unassigned_L1", "R2"),
                "Samples/Unassigned/Unassigned_R2.fastq.gz".to_owned(),
            ],
        ),
        (
            "singular",
            vec![singular("Undetermined_tissue_S3_L001_R1"), singular("d_I1_S1_L001_R2")],
            vec![singular("Undetermined_S0_L001_R1"), singular("undetermined_S0_L001_R2"), singular("P/d_S1_L001_I1")],
        ),
        (
            "nanopore",
            vec![nanopore("pass", "x_unclassified_y"), nanopore("pass", "unclassified_y")],
            vec![nanopore("pass", "unclassified"), nanopore("fail", "unclassified"), old, bare],
        ),
    ];
    for (name, wanted, unwanted) in cases {
        let manifest = with_layout(name, true, &[""]).unwrap();
        for path in wanted {
            assert!(told(&manifest, &path).starts_with("r0 "), "{name}: {path}: {}", told(&manifest, &path));
        }
        for path in unwanted {
            let reason = told(&manifest, &path);
            assert!(reason.starts_with(&format!("ignored by the layout {name}: ")), "{name}: {path}: {reason}");
            // Whoever names it takes it.
            let naming = format!("match: '**/{}',", path.rsplit('/').next().unwrap());
            assert!(told(&with_layout(name, true, &[&naming]).unwrap(), &path).starts_with("r0 "), "{name}: {path}");
        }
    }
}

#[test]
fn reads_are_mapped_to_slots_or_have_no_place() {
    let path = |read: &str| format!("A_S1_L001_{read}_001.fastq.gz");
    let plain = with_layout("illumina", true, &[""]).unwrap();
    assert_eq!(told(&plain, &path("R3")), "r0 has no R3");
    assert!(told(&plain, &path("I1")).contains("index reads"));
    assert_eq!(told(&with_layout("illumina", false, &[""]).unwrap(), &path("I1")), "r0 has no I1");
    let mapped = with_layout("illumina", true, &["reads: { reads1: R1, reads2: R3 },"]).unwrap();
    for (read, slot) in [("R1", "1"), ("R3", "2")] {
        assert_eq!(told(&mapped, &path(read)), format!("r0 lane=001 read={slot} sample=A sample_number=1"));
    }
    assert_eq!(
        told(&mapped, &path("R2")),
        "no rule matches; nearest: r0 (reads names R1 and R3, and does not name R2)"
    );
    assert_eq!(
        told(&mapped, &path("I1")),
        "ignored by the layout illumina: index reads; rule r0: reads names R1 and R3, and does not name I1"
    );
    // It is not the read that these are left out for.
    let undetermined = "Undetermined_S0_L001_R2_001.fastq.gz";
    assert!(told(&mapped, undetermined).ends_with("no sample was found for; name it in a rule's match to take it"));
    let some = "reads: { reads1: R1, reads2: R3 }, where: { sample: B },";
    let some = with_layout("illumina", true, &[some]).unwrap();
    assert_eq!(told(&some, &path("R2")), "no rule matches; nearest: r0 (where: sample)");
    let trace = |manifest: &Manifest, read: &str| {
        let tried = manifest.trace(&path(read), &Captures::new(), |_, _| None).remove(0);
        (tried.outcome.condition(), tried.outcome.reason())
    };
    for read in ["R2", "I1"] {
        let reason = format!("reads names R1 and R3, and does not name {read}");
        assert_eq!(trace(&mapped, read), (Some("reads"), reason));
    }
    assert_eq!(trace(&some, "R2"), (Some("where"), "sample is \"A\", which is not B".to_owned()));
    let loose = with_layout("drop-folder", true, &["reads: { reads1: R1, reads2: R3 },"]).unwrap();
    let other = "reads names R1 and R3, and does not name the read of this file";
    assert_eq!(told(&loose, "A_1.fastq.gz"), format!("no rule matches; nearest: r0 ({other})"));
    let tried = loose.trace("A_1.fastq.gz", &Captures::new(), |_, _| None).remove(0);
    assert_eq!(tried.outcome, Outcome::Reads { reason: other.to_owned() });
    let index = with_layout("illumina", true, &["reads: { reads1: I1, reads2: R1 },"]).unwrap();
    assert_eq!(told(&index, &path("I1")), "r0 lane=001 read=1 sample=A sample_number=1");
    let own = with_layout("none", true, &["match: '{sample}_S{sample_number:int}_R{read}.fq',"]).unwrap();
    assert_eq!(told(&own, "A_S1_R3.fq"), "r0 has no R3");
    assert!(told(&own, "A_S1_I1.fq").starts_with("no rule matches"), "nobody said that these are index reads");
    let error =
        with_layout("none", true, &["match: '{s}_{read}.fq', reads: { reads1: R9x, reads2: I1 },"]).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("this needs R{read} in match") && error.contains("R1, R2, R3, I1 or I2"), "{error}");
}

#[test]
fn the_watch_says_what_becomes_of_samples_without_reads_where_a_rule_does_not() {
    let no_reads = |keys: &str, no_reads| {
        let text = format!("version: 1\nrules:\n  - {{ name: r, match: '{{x}}.fq', {keys} }}\n");
        let document = Document::parse("manifest.yaml", text).unwrap();
        let manifest = Manifest::read(document, Defaults { no_reads, ..Defaults::default() });
        manifest.map(|manifest| manifest.rules[0].no_reads).map_err(|problems| problems.to_string())
    };
    let sample = "sample: { name: '{x}', type: t }";
    assert_eq!(no_reads(sample, NoReads::Block), Ok(NoReads::Block));
    assert_eq!(no_reads(&format!("no_reads: skip, {sample}"), NoReads::Block), Ok(NoReads::Skip));
    assert_eq!(no_reads(&format!("no_reads: block, {sample}"), NoReads::Skip), Ok(NoReads::Block));
    let wrong = no_reads(&format!("no_reads: hold, {sample}"), NoReads::Skip).unwrap_err();
    assert!(wrong.contains("skip") && wrong.contains("block"), "{wrong}");
    let data = no_reads("no_reads: skip, data: {}", NoReads::Skip).unwrap_err();
    assert!(data.contains("this is said of samples, and the rule makes none; remove the key"), "{data}");
}

#[test]
fn a_sheet_is_asked_for_what_the_files_are_named_after() {
    let asked_with = |layout: &str, keys: &str, barcode: &str| -> Result<String, String> {
        let text =
            format!("version: 1\nrules:\n  - {{ name: r, {keys} sheet: {{}}, sample: {{ name: x, type: t }} }}\n");
        let document = Document::parse("manifest.yaml", text).unwrap();
        let defaults = Defaults { layout: crate::layout::find(layout), ..Defaults::default() };
        let manifest = Manifest::read(document, defaults).map_err(|problems| problems.to_string())?;
        let sheet = manifest.rules[0].sheet.as_ref().unwrap();
        let captures = captures(&[("sample", "s"), ("barcode", barcode)]);
        Ok(sheet.equals(&Run { name: "run", captures: &Captures::default() }, &captures))
    };
    let asked = |layout: &str, keys: &str| asked_with(layout, keys, "b");
    assert_eq!(asked("illumina", ""), Ok("s".to_owned()));
    assert_eq!(asked("nanopore", ""), Ok("b".to_owned()), "MinKNOW's sample is the folder above the run");
    assert_eq!(asked("pacbio", ""), Ok("b".to_owned()));
    assert_eq!(asked("ultima", ""), Ok("s".to_owned()));
    assert_eq!(asked_with("nanopore", "", ""), Ok("s".to_owned()), "without a barcode it is what was sequenced");
    assert_eq!(asked_with("pacbio", "", ""), Ok(String::new()), "nobody says what it is");
    let lacking = asked("", "match: '{x}.fq',").unwrap_err();
    assert!(lacking.contains("match does not capture {sample} or {barcode}"), "{lacking}");
}
