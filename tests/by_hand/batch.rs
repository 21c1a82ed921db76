//! A sheet of samples.

use serde_json::json;

use crate::bench::Bench;

const GOOD: &str = "\u{feff}name,reads1,reads2,project,organism,strandedness,source,source__annotation,cell_line\r\n\
    B1,R1.fastq,R2.fastq,788995297969977723,Hs,reverse,\"Liver, left\",\"said \"\"x\"\"\",CL-0240\r\n\
    \r\n\
    B2,sub/R3.fastq,,,,,,,\r\n\
    ,,,,,,,,\r\n";

fn batch<'a>(sheet: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    [&["upload", "batch", "--type", "RNA-Seq", "--sheet", sheet], rest].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sheet_as_excel_writes_it_goes_up_once() {
    let bench = Bench::new().await;
    std::fs::create_dir_all(bench.path("sheets/sub")).unwrap();
    bench.write("sheets/sheet.csv", GOOD);
    for name in ["R1.fastq", "R2.fastq", "sub/R3.fastq"] {
        bench.write(&format!("sheets/{name}"), name);
    }
    let ended = bench.run(&batch("sheets/sheet.csv", &["--json"])).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let uploads = ended.json()["uploads"].clone();
    assert_eq!((&uploads[0]["row"], &uploads[1]["row"]), (&json!(2), &json!(4)), "as the spreadsheet shows them");
    let mut samples = bench.sandbox.samples();
    samples.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(samples.iter().map(|sample| sample.files.len()).collect::<Vec<_>>(), [2, 1]);
    let metadata = &samples[0].metadata;
    assert_eq!((metadata["source"].as_str(), metadata["source__annotation"].as_str()), ("Liver, left", "said \"x\""));

    let chunks = bench.chunks().len();
    let again = bench.run(&batch("sheets/sheet.csv", &["--json"])).await;
    assert_eq!((again.code, again.ids(), bench.chunks().len()), (0, ended.ids(), chunks), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_of_every_row_is_told_before_anything_is_sent() {
    let bench = Bench::new().await;
    bench.write(
        "sheet.csv",
        "name,reads1,strandedness,source__annotation,cell_line,nix,purification_target\n\
         B1,R1.fastq,reverse,,,,\n\
         B2,R2.fastq,sideways,left,CL-9999,x,FUS\n\
         ,none.fastq\n\
         B1,R2.fastq\n",
    );
    let ended = bench.run(&batch("sheet.csv", &["--json"])).await;
    assert_eq!(ended.code, 2, "{ended:?}");
    let rows = ended.json()["rows"].clone();
    assert_eq!(rows.as_array().unwrap().iter().map(|row| row["row"].as_u64().unwrap()).collect::<Vec<_>>(), [3, 4, 5]);
    let told = rows[0]["reasons"].to_string();
    for part in ["sideways", "source has none", "CL-9999", "no metadata", "purification_target is not said of"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(ended.stderr.contains("row 4: name is missing; reads1: cannot read"), "{ended:?}");
    assert!(ended.stderr.contains("row 5 (B1): row 2 has the same name"), "{ended:?}");
    assert!(bench.chunks().is_empty());

    let skipping = bench.run(&batch("sheet.csv", &["--skip-invalid"])).await;
    assert!(skipping.code == 0 && skipping.stdout.contains("1 uploaded, 0 failed, 3 skipped"), "{skipping:?}");
    assert_eq!(bench.sandbox.samples().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_flow_would_refuse_end_with_5() {
    let bench = Bench::new().await;
    bench.write("sheet.csv", "name,reads1,strandedness\nB1,R1.fastq,sideways\n");
    let ended = bench.run(&batch("sheet.csv", &[])).await;
    assert!(ended.code == 5 && ended.stderr.contains("row 2 (B1): strandedness"), "{ended:?}");
    bench.write("sheet.csv", "name,reads1\nB1,R1.fastq\n");
    for (sample_type, told) in [("CLIP", "purification_target is missing"), ("nonsense", "no sample type")] {
        let ended = bench.run(&["upload", "batch", "--type", sample_type, "--sheet", "sheet.csv"]).await;
        assert!(ended.code == 5 && ended.stderr.contains(told), "{ended:?}");
    }
    assert!(bench.chunks().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_flow_refuses_keep_back_the_others_only_when_that_is_wished() {
    let bench = Bench::new().await;
    bench.write("sheet.csv", "name,reads1,project\nB1,R1.fastq,\nB2,R2.fastq,17\nB3,R1.fastq,\n");
    let stopped = bench.run(&batch("sheet.csv", &["--stop-on-error"])).await;
    assert!(stopped.code == 5 && stopped.stdout.contains("1 uploaded, 1 failed, 0 skipped"), "{stopped:?}");
    assert_eq!(bench.sandbox.samples().len(), 1);
    let ended = bench.run(&batch("sheet.csv", &["--json"])).await;
    assert!(
        ended.code == 5 && ended.stderr.contains("B2: Flow refused it: project: Unknown project '17'"),
        "{ended:?}"
    );
    let names: Vec<_> = bench.sandbox.samples().into_iter().map(|sample| sample.name).collect();
    assert_eq!(names, ["B1", "B3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_has_the_platforms_columns_and_can_be_filled_in() {
    let bench = Bench::new().await;
    let ended = bench.run(&["batch-template", "--type", "CLIP"]).await;
    assert_eq!(
        ended.stdout,
        "name,reads1,reads2,project,organism,strandedness,purification_target,purification_target__annotation,\
         cell_line,source,source__annotation,five_prime_barcode,keywords,scientist,pi,comments\n"
    );
    assert!(ended.stderr.contains("required: name, reads1, purification_target\n"), "{ended:?}");
    let arguments = ["batch-template", "--type", "CLIP", "-o", "sheet.csv", "--json"];
    let written = bench.run(&arguments).await.json();
    assert_eq!((&written["file"], &written["columns"][6]["required"]), (&json!("sheet.csv"), &json!(true)));
    assert_eq!(bench.run(&arguments).await.code, 2, "a filled-in sheet is not overwritten");
    assert_eq!(bench.run(&["batch-template", "--type", "nonsense"]).await.code, 2);

    let template = std::fs::read_to_string(bench.path("sheet.csv")).unwrap();
    bench.write("sheet.csv", format!("{template}B1,R1.fastq,,,,,FUS,clone 7\n"));
    let ended = bench.run(&["upload", "batch", "--type", "CLIP", "--sheet", "sheet.csv"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(bench.sandbox.samples()[0].metadata["purification_target__annotation"], "clone 7");
}
