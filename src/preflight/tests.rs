use serde_json::{Value, json};

use super::*;

fn lists() -> Lists {
    fn listed<T: serde::de::DeserializeOwned>(list: Value) -> Option<Arc<Vec<T>>> {
        Some(Arc::new(serde_json::from_value(list).unwrap()))
    }
    let attribute = |identifier: &str| MetadataAttribute {
        identifier: identifier.to_owned(),
        name: identifier.to_owned(),
        description: String::new(),
        required: false,
        required_for_sample_types: Vec::new(),
        required_for_public: false,
        sample_types: None,
        options: None,
        allow_user_terms: false,
        allow_annotation: false,
        regex_validator: None,
        is_list: false,
    };
    let options = |values: &[&str], total: usize| {
        let values: Vec<_> = values.iter().map(|value| (*value).to_owned()).collect();
        Some(Options { is_cut: total > values.len(), values, total })
    };
    let pattern = |pattern: &str| Some(pattern.to_owned());
    let attributes = vec![
        MetadataAttribute { options: options(&["forward", "reverse", "unstranded"], 3), ..attribute("strandedness") },
        MetadataAttribute {
            required_for_sample_types: vec!["CLIP".to_owned()],
            allow_annotation: true,
            ..attribute("purification_target")
        },
        MetadataAttribute { options: options(&["CL-0001", "CL-0002"], 240), ..attribute("cell_line") },
        MetadataAttribute { regex_validator: pattern("^[ACGTN]+$"), ..attribute("barcode") },
        MetadataAttribute { regex_validator: pattern("(?<!x)y"), ..attribute("beyond_us") },
        MetadataAttribute { options: options(&["brain", "liver"], 2), is_list: true, ..attribute("keywords") },
        MetadataAttribute { options: options(&["c1", "c2"], 240), is_list: true, ..attribute("clones") },
        MetadataAttribute { regex_validator: pattern("^[a-z]+, [a-z]+$"), is_list: true, ..attribute("two_words") },
    ];
    Lists {
        sample_types: listed(json!([
            {"identifier": "RNA-Seq", "name": "RNA-Seq"},
            {"identifier": "CLIP", "name": "CLIP"},
            {"identifier": "Whole-genome", "name": "Genome of everything"},
        ])),
        attributes: Some(Arc::new(attributes)),
        organisms: listed(
            json!([{"id": "Hs", "name": "Human", "latin_name": "Homo sapiens"}, {"id": "Mm", "name": "Mouse"}]),
        ),
        projects: listed(json!([
            {"id": "7001", "name": "Core"},
            {"id": "7002", "name": "Atlas"},
            {"id": "8003", "name": "Twin"},
            {"id": "8004", "name": "Twin"},
        ])),
        account: None,
        data_types: listed(json!([{"identifier": "report", "name": "Report"}, {"identifier": "bam", "name": "BAM"}])),
        options: HashMap::new(),
    }
}

fn value(text: &str) -> Given {
    Given::Value(text.to_owned())
}

/// RNA-Seq, and what else is said.
fn sample(organism: Option<&str>, project: [Option<&str>; 2], metadata: &[(&str, &str)]) -> Said {
    let [id, name] = project.map(|given| given.map(value));
    Said::Sample {
        sample_type: value("RNA-Seq"),
        organism: organism.map(value),
        project: id,
        project_name: name,
        metadata: metadata.iter().map(|(key, given)| ((*key).to_owned(), value(given))).collect(),
    }
}

fn of_type(sample_type: Given, metadata: Vec<(String, Given)>) -> Said {
    Said::Sample { sample_type, organism: None, project: None, project_name: None, metadata }
}

fn messages(said: &Said) -> Vec<String> {
    check(said, &lists()).into_iter().map(|miss| miss.message).collect()
}

#[track_caller]
fn only(said: &Said) -> Miss {
    let misses = check(said, &lists());
    let [only] = misses.as_slice() else { panic!("one miss, not {misses:#?}") };
    only.clone()
}

#[test]
fn what_the_lists_hold_is_no_miss() {
    let metadata = [("strandedness", "reverse"), ("barcode", "ACGT"), ("keywords", "liver, brain"), ("beyond_us", "x")];
    for project in [[None, None], [Some("7001"), None], [Some("7001"), Some("Core")], [None, Some("Atlas")]] {
        assert_eq!(messages(&sample(Some("Hs"), project, &metadata)), [""; 0]);
    }
    let target = [("purification_target", "FUS"), ("purification_target__annotation", "clone 7")];
    let target = target.map(|(key, given)| (key.to_owned(), value(given))).to_vec();
    assert_eq!(messages(&of_type(value("CLIP"), target)), [""; 0]);
    assert_eq!(messages(&Said::Data { data_type: Some(value("bam")) }), [""; 0]);
    assert_eq!(messages(&Said::Data { data_type: None }), [""; 0]);
    assert_eq!(messages(&Said::Multiplexed), [""; 0]);
}

#[test]
fn an_account_without_a_project_is_told_who_was_asked_and_what_to_do() {
    let none = |account: Option<&str>| Lists {
        projects: Some(Arc::default()),
        account: account.map(str::to_owned),
        ..lists()
    };
    for (project, value) in [([Some("7001"), Some("Core")], "7001"), ([None, Some("Core")], "Core")] {
        let misses = check(&sample(None, project, &[]), &none(Some("alice")));
        let [miss] = misses.as_slice() else { panic!("{misses:#?}") };
        assert_eq!((miss.value.as_deref(), miss.nearest.as_deref()), (Some(value), None));
        let said = format!(
            "project {value:?} is none of this account's own: Flow was asked for the projects that alice owns, and there \
             are none; use the credentials of the account that owns it, have alice made its owner on Flow, or leave \
             project out"
        );
        assert_eq!(miss.message, said);
    }
    let misses = check(&sample(None, [Some("7001"), None], &[]), &none(None));
    assert!(misses[0].message.contains("the projects that this account owns"), "{misses:#?}");
    assert_eq!(check(&sample(None, [None; 2], &[]), &none(None)), []);
}

#[test]
fn each_miss_has_the_right_value_that_was_probably_meant() {
    let cases = [
        (
            of_type(value("RNA-seq"), Vec::new()),
            "type",
            Some("RNA-Seq"),
            r#"sample type "RNA-seq" does not exist on this server; did you mean "RNA-Seq"?"#,
        ),
        (
            of_type(value("genome of everythin"), Vec::new()),
            "type",
            Some("Whole-genome"),
            r#"sample type "genome of everythin" does not exist on this server; did you mean "Whole-genome" (Genome of everything)?"#,
        ),
        (
            of_type(value("something"), Vec::new()),
            "type",
            None,
            r#"sample type "something" does not exist on this server; there are RNA-Seq, CLIP, Whole-genome"#,
        ),
        (
            sample(Some("Homo sapiens"), [None; 2], &[]),
            "organism",
            Some("Hs"),
            r#"organism "Homo sapiens" does not exist on this server; did you mean "Hs" (Human)?"#,
        ),
        (
            sample(None, [Some("Atlas"), None], &[]),
            "project",
            Some("7002"),
            r#"project "Atlas" is none of this account's own; did you mean "7002" (Atlas)?"#,
        ),
        (
            sample(None, [Some("7001"), Some("Atlas")], &[]),
            "project",
            Some("Core"),
            r#"project 7001 is called "Core", and not "Atlas"; "Atlas" is 7002"#,
        ),
        (
            sample(None, [None, Some("atlas")], &[]),
            "project",
            Some("Atlas"),
            r#"this account owns no project that is called "atlas"; did you mean "Atlas" (7002)?"#,
        ),
        (
            of_type(value("whole genome"), Vec::new()),
            "type",
            Some("Whole-genome"),
            r#"sample type "whole genome" does not exist on this server; did you mean "Whole-genome" (Genome of everything)?"#,
        ),
        (
            sample(Some("sapiens"), [None; 2], &[]),
            "organism",
            Some("Hs"),
            r#"organism "sapiens" does not exist on this server; did you mean "Hs" (Human)?"#,
        ),
        (
            sample(None, [Some("tla"), None], &[]),
            "project",
            Some("7002"),
            r#"project "tla" is none of this account's own; did you mean "7002" (Atlas)?"#,
        ),
        (
            sample(None, [None; 2], &[("strand", "rev")]),
            "metadata.strand",
            Some("strandedness"),
            r#"metadata attribute "strand" does not exist on this server; did you mean "strandedness"?"#,
        ),
        (
            sample(None, [None; 2], &[("strandedness", "rev")]),
            "metadata.strandedness",
            Some("reverse"),
            r#"metadata strandedness: "rev" is not among its values; did you mean "reverse"?"#,
        ),
        (
            sample(None, [None, Some("Twin")], &[]),
            "project",
            None,
            r#"several of this account's projects are called "Twin": 8003, 8004; give the id of one"#,
        ),
        (
            sample(None, [None; 2], &[("strandednes", "reverse")]),
            "metadata.strandednes",
            Some("strandedness"),
            r#"metadata attribute "strandednes" does not exist on this server; did you mean "strandedness"?"#,
        ),
        (
            sample(None, [None; 2], &[("strandedness", "reversed")]),
            "metadata.strandedness",
            Some("reverse"),
            r#"metadata strandedness: "reversed" is not among its values; did you mean "reverse"?"#,
        ),
        (
            sample(None, [None; 2], &[("keywords", "brain, kidney")]),
            "metadata.keywords",
            None,
            r#"metadata keywords: "kidney" is not among its values; there are brain, liver"#,
        ),
        (
            sample(None, [None; 2], &[("barcode", "ACXT")]),
            "metadata.barcode",
            None,
            r#"metadata barcode: "ACXT" does not match ^[ACGTN]+$"#,
        ),
        (
            sample(None, [None; 2], &[("strandedness__annotation", "x")]),
            "metadata.strandedness__annotation",
            None,
            "metadata strandedness takes no annotation; remove strandedness__annotation",
        ),
        (
            of_type(value("CLIP"), vec![("purification_target".to_owned(), value(""))]),
            "metadata.purification_target",
            None,
            "metadata purification_target is required of CLIP, and is not given",
        ),
        (
            Said::Data { data_type: Some(value("BAMM")) },
            "data_type",
            Some("bam"),
            r#"data type "BAMM" does not exist on this server; did you mean "bam" (BAM)?"#,
        ),
    ];
    for (said, key, nearest, message) in cases {
        let miss = only(&said);
        assert_eq!((miss.key.as_str(), miss.nearest.as_deref(), miss.message.as_str()), (key, nearest, message));
    }
}

#[test]
fn a_list_may_be_right_as_a_whole() {
    assert_eq!(messages(&sample(None, [None; 2], &[("two_words", "one, two")])), [""; 0]);
    let miss = only(&sample(None, [None; 2], &[("two_words", "one")]));
    assert_eq!(miss.message, r#"metadata two_words: "one" does not match ^[a-z]+, [a-z]+$"#);
}

#[test]
fn all_misses_are_told_at_once() {
    let Said::Sample { organism, project, metadata, .. } =
        sample(Some("Hm"), [Some("1"), None], &[("strandedness", "x"), ("barcode", "x")])
    else {
        unreachable!()
    };
    let said = Said::Sample { sample_type: value("CLI"), organism, project, project_name: None, metadata };
    let keys: Vec<_> = check(&said, &lists()).into_iter().map(|miss| miss.key).collect();
    assert_eq!(keys, ["type", "organism", "project", "metadata.strandedness", "metadata.barcode"]);
}

#[test]
fn what_only_the_files_tell_counts_as_given_and_is_not_judged() {
    let later = |key: &str| (key.to_owned(), Given::Later);
    let metadata = vec![later("purification_target"), later("strandedness"), later("barcode")];
    assert_eq!(messages(&of_type(value("CLIP"), metadata.clone())), [""; 0]);
    assert_eq!(messages(&of_type(Given::Later, Vec::new())), [""; 0], "nobody knows yet what is required");
    let said = Said::Sample {
        sample_type: Given::Later,
        organism: Some(Given::Later),
        project: Some(Given::Later),
        project_name: Some(value("Core")),
        metadata,
    };
    assert_eq!(messages(&said), [""; 0], "by which id the project is meant is not known");
    assert_eq!(messages(&Said::Data { data_type: Some(Given::Later) }), [""; 0]);
}

#[test]
fn a_list_that_the_server_does_not_have_is_not_checked() {
    let said = sample(Some("Xx"), [Some("1"), Some("x")], &[("strandednes", "x")]);
    assert_eq!(check(&said, &Lists::default()), []);
    assert_eq!(check(&Said::Data { data_type: Some(value("x")) }, &Lists::default()), []);
    // But without one, no name leads to an id.
    let misses = check(&sample(None, [None, Some("Core")], &[]), &Lists::default());
    assert!(misses[0].message.ends_with("this server does not list projects; give its id"), "{misses:?}");
}

#[test]
fn a_list_that_is_cut_says_nothing_of_what_is_beyond_it() {
    let said = |cell_line: &str| sample(None, [None; 2], &[("cell_line", cell_line)]);
    let term = |text: &str| ("cell_line".to_owned(), text.to_owned());
    let mut lists = lists();
    assert_eq!(beyond_lists(&said("CL-0001"), &lists), []);
    assert_eq!(beyond_lists(&said("CL-0200"), &lists), [term("CL-0200")]);
    assert_eq!(check(&said("CL-0200"), &lists), [], "nobody has asked");

    let found = |values: &[&str], total: usize| {
        let values: Vec<_> = values.iter().map(|value| (*value).to_owned()).collect();
        Options { is_cut: total > values.len(), values, total }
    };
    lists.options.insert(term("CL-0200"), found(&["CL-0200"], 1));
    lists.options.insert(term("CL-999"), found(&[], 0));
    lists.options.insert(term("CL"), found(&["CL-0001"], 240));
    assert_eq!(check(&said("CL-0200"), &lists), []);
    assert_eq!(check(&said("CL"), &lists), [], "too many contain it to tell");
    lists.options.insert(("clones".to_owned(), "c999".to_owned()), found(&[], 0));
    let clones = sample(None, [None; 2], &[("clones", "c1, c999")]);
    assert_eq!(beyond_lists(&clones, &lists), [("clones".to_owned(), "c999".to_owned())]);
    assert_eq!(check(&clones, &lists)[0].value.as_deref(), Some("c999"));
    let miss = &check(&said("CL-999"), &lists)[0];
    assert!(miss.message.ends_with("there are CL-0001, CL-0002 and 238 more"), "{miss:?}");
}

#[test]
fn a_name_leads_to_a_project_where_it_is_the_only_one() {
    let found = |project| project_by_name(&sample(None, project, &[]), &lists());
    assert_eq!(found([None, Some("Atlas")]).as_deref(), Some("7002"));
    assert_eq!(found([None, Some("Twin")]), None);
    assert_eq!(found([None, Some("atlas")]), None);
    assert_eq!(found([Some("7001"), Some("Core")]), None, "the id is given");
}
