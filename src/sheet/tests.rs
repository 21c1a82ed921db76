use std::fmt::Write as _;
use std::io::Write as _;

use super::*;

fn sheet(text: &str) -> Sheet {
    Sheet::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn wrong(bytes: impl AsRef<[u8]>) -> String {
    Sheet::parse(bytes.as_ref()).expect_err("no sheet").to_string()
}

fn keyed<'s>(sheet: &'s Sheet, names: &[&str]) -> Keyed<'s> {
    sheet.keyed(None, names.iter().map(|name| (*name).to_owned())).unwrap()
}

fn lanes(lanes: &[u64]) -> Filter {
    Filter { lanes: lanes.iter().copied().collect(), ..Filter::default() }
}

/// A value of a sample, or what is wrong.
fn value(sheet: &Sheet, name: &str, column: &str) -> String {
    let selection = match keyed(sheet, &[name]).find(name, &Filter::default()) {
        Ok(selection) => selection.unwrap_or_else(|| panic!("no {name}")),
        Err(trouble) => return trouble.to_string(),
    };
    selection.value(column).map_or_else(|trouble| trouble.to_string(), str::to_owned)
}

const V1: &str = "[Header],,,\nIEMFileVersion,4,,\nInvestigator Name,Ada,,\n,,,\n[Reads],,,\n151,,,\n,,,\n[Data],,,\n\
                  Sample_ID,Sample_Name,Sample_Project,Description\n1,liver 3,P1,\"one, two\"\n2,S.2,P2,\n3,,P3,x\n";

const V2: &str = "[Header]\nFileFormatVersion,2\nRunName,run 7\n\n[BCLConvert_Settings]\nSoftwareVersion,4.2.7\n\n\
                  [BCLConvert_Data]\nLane,Sample_ID,Index\n1,A,ACGT\n2,A,ACGT\n2,B,TTTT\n\n[Cloud_Settings]\n\
                  SoftwareVersion,1.0\n\n[Cloud_Data]\nSample_ID,ProjectName,Index\nA,proj,ignored\n";

#[test]
fn an_old_sheet_of_illumina_is_read_and_its_header_counts_as_columns() {
    let sheet = sheet(V1);
    assert_eq!(sheet.samples(), 3);
    for (name, column, expected) in [
        ("liver 3", "Sample_Project", "P1"),
        ("liver 3", "Description", "one, two"),
        ("liver 3", "Investigator Name", "Ada"),
        ("liver 3", "investigator_name", "Ada"),
        ("S.2", "Description", ""),
    ] {
        assert_eq!(value(&sheet, name, column), expected, "{name} {column}");
    }
    assert!(sheet.check_name("151").is_err());
    let unknown = value(&sheet, "S.2", "Investigator");
    assert!(unknown.starts_with("it has no column \"Investigator\" (nearest: \"Investigator Name\")"), "{unknown}");
}

#[test]
fn the_names_that_an_instrument_wrote_find_those_of_the_sheet() {
    let sheet = sheet(V1);
    for (written, project) in [("liver-3", "P1"), ("liver_3", "P1"), ("S-2", "P2"), ("S_2", "P2")] {
        assert_eq!(value(&sheet, written, "Sample_Project"), project, "{written}");
    }
    // Two that become the same cannot be told apart, unless one is meant to the letter.
    let both = self::sheet("Sample_ID,P\na b,1\na.b,2\n");
    assert_eq!((value(&both, "a b", "P"), value(&both, "a.b", "P")), ("1".to_owned(), "2".to_owned()));
    assert_eq!(
        value(&both, "a-b", "P"),
        "\"a-b\" may be \"a b\" at line 2, column 1 or \"a.b\" at line 3, column 1; name the files or the samples so \
         that they can be told apart"
    );
}

#[test]
fn a_name_that_another_may_have_become_is_not_taken_to_the_letter() {
    let both = sheet("Sample_ID,P,Q\nA.1,1,x\nA-1,2,x\nB_1,3,y\nB-1,4,y\n");
    let ambiguous = "\"A-1\" may be \"A.1\" at line 2, column 1 or \"A-1\" at line 3, column 1; name the files or the \
                     samples so that they can be told apart";
    assert_eq!(value(&both, "A-1", "P"), ambiguous);
    assert_eq!(value(&both, "A-1", "Q"), "x", "they agree");
    assert_eq!(value(&both, "A.1", "P"), "1", "the other is written as it is");
    assert!(value(&both, "A_1", "P").starts_with("\"A_1\" may be \"A.1\""));
    assert_eq!((value(&both, "B_1", "P"), value(&both, "B-1", "P")), ("3".to_owned(), "4".to_owned()), "as they are");
    // In other lanes they are no names of these files.
    let in_lanes = sheet("Lane,Sample_ID,P\n1,A.1,1\n2,A-1,2\n");
    let keyed = keyed(&in_lanes, &["A-1"]);
    let of = |lane: u64| keyed.find("A-1", &lanes(&[lane])).unwrap().unwrap().value("P").unwrap();
    assert_eq!([of(1), of(2)], ["1", "2"]);
    let design = sheet("Barcode Name,Bio Sample Name,P\nbc2001,liver,1\nbc2001--bc2001,lung,1\nbc2002,skin,1\n");
    for file in ["bc2001", "bc2001--bc2001"] {
        let told = value(&design, file, "Bio Sample Name");
        assert!(told.starts_with(&format!("{file:?} may be \"bc2001\" at line 2, column 1 or \"bc2001--")), "{told}");
        assert_eq!(value(&design, file, "P"), "1");
    }
    assert_eq!(value(&design, "bc2002--bc2002", "Bio Sample Name"), "skin");
}

#[test]
fn the_key_is_what_the_files_are_named_after() {
    let sheet = sheet(V1);
    let find = |names: &[&str]| keyed(&sheet, names).column();
    assert_eq!(find(&["1", "2"]), "Sample_ID");
    assert_eq!(find(&["liver-3", "S-2"]), "Sample_Name");
    // A sample without a name is named after its id.
    assert_eq!(value(&sheet, "3", "Sample_Project"), "P3");
    let selection = keyed(&sheet, &["liver-3", "3"]).find("3", &Filter::default()).unwrap().unwrap();
    assert_eq!(selection.value("Sample_Project"), Ok("P3"));
    // Ids and names in another order: nobody can say which is meant.
    let swapped = self::sheet("Sample_ID,Sample_Name,P\na,b,1\nb,a,2\nc,c,3\n");
    let keyed = keyed(&swapped, &["a", "b", "c"]);
    assert_eq!(
        keyed.find("a", &Filter::default()).unwrap_err().to_string(),
        "\"a\" stands in Sample_ID at line 2, column 1 and in Sample_Name at line 3, column 2, which are different \
         rows; say which one files are named after (key)"
    );
    assert_eq!(keyed.find("c", &Filter::default()).unwrap().unwrap().value("P"), Ok("3"));
    let by_name = swapped.keyed(Some("sample name"), std::iter::empty()).unwrap();
    assert_eq!(by_name.find("a", &Filter::default()).unwrap().unwrap().value("P"), Ok("2"));
    assert!(matches!(swapped.keyed(Some("Sample"), std::iter::empty()), Err(Trouble::NoColumn { .. })));
}

#[test]
fn a_new_sheet_joins_its_sections_by_the_id() {
    let sheet = sheet(V2);
    assert_eq!(value(&sheet, "A", "ProjectName"), "proj");
    assert_eq!(value(&sheet, "B", "ProjectName"), "");
    assert_eq!(value(&sheet, "A", "Index"), "ACGT", "the demultiplexer's own");
    assert_eq!(value(&sheet, "A", "RunName"), "run 7");
    assert_eq!(
        value(&sheet, "A", "SoftwareVersion"),
        "\"SoftwareVersion\" is \"4.2.7\" at line 6, column 2 and \"1.0\" at line 15, column 2; correct one, or remove \
         a row"
    );
}

#[test]
fn a_sheet_tells_in_which_other_lanes_a_sample_is() {
    let sheet = sheet("Sample_ID,Lane\nA,1\nA,2\nA,4\nB,\nC,1\n");
    let others = |name: &str, of: &[u64]| -> Vec<u64> {
        keyed(&sheet, &["A", "B", "C"]).other_lanes(name, &lanes(of)).into_iter().collect()
    };
    assert_eq!((others("A", &[1]), others("A", &[4, 1, 2])), (vec![2, 4], vec![]));
    assert_eq!((others("B", &[1]), others("C", &[1]), others("D", &[1])), (vec![], vec![], vec![]));
    assert_eq!(others("A", &[]), [0; 0], "files of no lane are of all");
}

#[test]
fn rows_of_other_lanes_do_not_count() {
    let sheet = sheet("Lane,Sample_ID,P\n1,A,one\n2,A,two\n3+4,B,three\n,C,all\n");
    let find = |name: &str, of: &[u64]| match keyed(&sheet, &[name]).find(name, &lanes(of)) {
        Ok(found) => found.map(|found| found.value("P").map_or_else(|trouble| trouble.to_string(), str::to_owned)),
        Err(trouble) => Some(trouble.to_string()),
    };
    assert_eq!(find("A", &[1]).as_deref(), Some("one"));
    assert_eq!(find("A", &[2]).as_deref(), Some("two"));
    assert_eq!(find("A", &[3]), None);
    assert_eq!(find("B", &[3, 4]).as_deref(), Some("three"));
    assert_eq!(find("C", &[7]).as_deref(), Some("all"));
    let differ = "\"P\" is \"one\" at line 2, column 3 and \"two\" at line 3, column 3; correct one, or remove a row";
    assert_eq!(find("A", &[1, 2]).as_deref(), Some(differ));
    assert_eq!(find("A", &[]).as_deref(), Some(differ));
    let lacking = "lane 4 has no row for \"A\", which line 2, column 2 has for other lanes; add one, or \
                   correct the lanes";
    assert_eq!(find("A", &[1, 4]).as_deref(), Some(lacking));
}

#[test]
fn rows_of_one_key_must_agree_in_what_is_used_and_in_nothing_else() {
    let sheet = sheet("Sample_ID,Index,P\nA,ACGT,x\nA,TTTT,x\nA,GGGG,x\n");
    assert_eq!(value(&sheet, "A", "P"), "x");
    assert_eq!(
        value(&sheet, "A", "Index"),
        "\"Index\" is \"ACGT\" at line 2, column 2 and \"TTTT\" at line 3, column 2; correct one, or remove a row"
    );
    // A column that stands twice.
    let twice = self::sheet("Sample_ID,P,P\nA,x,x\nB,x,y\n");
    assert_eq!(value(&twice, "A", "P"), "x");
    assert!(value(&twice, "B", "P").contains("line 3, column 2 and \"y\" at line 3, column 3"));
}

#[test]
fn any_table_with_a_header_will_do_however_it_was_saved() {
    let expected = [("Sample", "Özil 1"), ("Note", "two\nlines"), ("P", "x")];
    for (separator, end) in [(',', "\n"), ('\t', "\r\n"), (';', "\r"), (',', "\r\n")] {
        let lines = ["", "Sample,P,Note,,", "S0,y,,,", "Özil 1,x,\"two\nlines\",,", "Sample,P,Note,,", "S3,z,,,", ""];
        let text = lines.map(|line| line.replace(',', &separator.to_string())).join(end);
        let latin: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        let wide = |unit: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(unit).collect::<Vec<u8>>();
        let mark = b"\xef\xbb\xbf".as_slice();
        let marked = [mark, text.as_bytes()].concat();
        let marked_twice = [mark, &marked].concat();
        let little = [b"\xff\xfe".to_vec(), wide(u16::to_le_bytes)].concat();
        let big = [b"\xfe\xff".to_vec(), wide(u16::to_be_bytes)].concat();
        for bytes in [text.clone().into_bytes(), marked, marked_twice, latin, little, big] {
            let sheet = Sheet::parse(&bytes).unwrap();
            assert_eq!(sheet.samples(), 3, "the header that stands twice is no sample");
            for (column, expected) in expected {
                assert_eq!(value(&sheet, "Özil 1", column), expected, "{separator:?} {end:?}");
            }
        }
    }
    // What Windows calls Latin-1.
    assert_eq!(value(&Sheet::parse(b"Sample,P\nA,1 \x80 \x96 \xb5\n").unwrap(), "A", "P"), "1 € – µ");
}

#[test]
fn the_sheets_of_other_instruments_are_read() {
    let minknow = "flow_cell_id,position_id,sample_id,experiment_id,flow_cell_product_code,kit,alias,type,barcode\n\
                   FAX1,X1,pool,exp7,FLO,SQK,patient 1,test_sample,barcode01\n\
                   FAX2,X2,pool,exp8,FLO,SQK,patient 9,test_sample,barcode01\n\
                   FAX1,X1,pool,exp7,FLO,SQK,patient 2,test_sample,barcode02\n";
    let sheet = self::sheet(minknow);
    let keyed = self::keyed(&sheet, &["barcode01", "barcode02"]);
    assert_eq!(keyed.column(), "barcode");
    let filter = Filter { flow_cell: Some("FAX1".to_owned()), ..Filter::default() };
    let alias = keyed.find("barcode01", &filter).unwrap().unwrap().value("alias").unwrap();
    assert_eq!(alias, "patient 1");
    assert_eq!(self::keyed(&sheet, &["patient_1", "patient_2"]).column(), "alias");

    let element = "[RunValues],,\nKeyName,Value,\nlot,77,\n# a remark, with commas,\n[Settings],,\nSettingName,Value,Lane\n\
                   R1Adapter,ACGT,1\n[Samples],,,,\nSampleName,Index1,Index2,Lane,Project\nPhiX,A,B,1+2,control\n\
                   PhiX,C,D,1+2,control\n#S0,X,X,1,no\nS1,E,F,1,mine\n";
    let sheet = self::sheet(element);
    assert_eq!((value(&sheet, "PhiX", "Project"), value(&sheet, "S1", "lot")), ("control".into(), "77".into()));
    assert_eq!(sheet.samples(), 3);
    assert!(sheet.check_name("KeyName").is_err());

    let pacbio = "[Run Settings]\nInstrument Type,Revio\nRun Name,r1\n[SMRT Cell Settings]\n,1_A01,1_B01\n\
                  Well Name,pool a,pool b\nOn-Plate Loading,100,200\n[Samples]\n\
                  Bio Sample Name,Plate Well,Adapter\nliver,1_A01,bc2001\nlung,1_B01,bc2002\n";
    let sheet = self::sheet(pacbio);
    for (name, column, expected) in [
        ("bc2001", "Bio Sample Name", "liver"),
        ("bc2002", "Well Name", "pool b"),
        ("lung", "Instrument Type", "Revio"),
        ("pool a", "On-Plate Loading", "100"),
        ("1_B01", "Bio Sample Name", "lung"),
    ] {
        assert_eq!(value(&sheet, name, column), expected, "{name} {column}");
    }
    let older = "Run Name,Sample Well,Sample Name,Bio Sample Name\nr1,A01,pool,liver\n";
    assert_eq!(value(&self::sheet(older), "A01", "Bio Sample Name"), "liver");
}

#[test]
fn rows_of_other_cells_do_not_count() {
    let newer =
        "[Samples]\nBio Sample Name,Plate Well,Adapter\nliver,1_A01,bc2001\nheart,1_B01,bc2001\nlung,1_A01,bc2002\n";
    let older = "Sample Well,Is Collection,Bio Sample Name,Barcode Name\nA01,FALSE,liver,bc2001\nB01,FALSE,heart,bc2001\n\
                 A01,FALSE,lung,bc2002\n";
    for text in [newer, older] {
        let sheet = sheet(text);
        let keyed = keyed(&sheet, &["bc2001", "bc2002"]);
        let find = |name: &str, cells: &[&str]| {
            let cells = cells.iter().map(|cell| (*cell).to_owned()).collect();
            let found = keyed.find(name, &Filter { cells, ..Filter::default() }).unwrap()?;
            Some(found.value("Bio Sample Name").map_err(|trouble| trouble.to_string()))
        };
        assert_eq!(find("bc2001", &["1_A01"]), Some(Ok("liver")));
        assert_eq!(find("bc2001", &["1_B01"]), Some(Ok("heart")));
        assert_eq!(find("bc2002", &["1_B01"]), None, "never another cell's row");
        assert!(find("bc2001", &[]).unwrap().unwrap_err().contains("\"heart\" at line"), "no cell tells");
    }
}

#[test]
fn a_barcode_of_both_ends_is_one_and_a_pair_is_none_of_its_halves() {
    let older =
        "Sample Name,Barcode Name,Bio Sample Name\nlib,,\n,bc2001--bc2001,liver\n,bc2002,lung\n,bc2001--bc2003,skin\n";
    let newer = "[Samples]\nBio Sample Name,Adapter,Adapter2\nliver,bc2001,bc2001\nlung,bc2002,\nskin,bc2001,bc2003\n";
    for text in [older, newer] {
        let sheet = sheet(text);
        for (file, expected) in [
            ("bc2001", "liver"),
            ("bc2001--bc2001", "liver"),
            ("bc2002", "lung"),
            ("bc2002--bc2002", "lung"),
            ("bc2001--bc2003", "skin"),
        ] {
            assert_eq!(value(&sheet, file, "Bio Sample Name"), expected, "{file}: {text}");
        }
        let keyed = keyed(&sheet, &["bc2001", "bc2003"]);
        for other in ["bc2003", "bc2003--bc2001", "bc2003--bc2003"] {
            assert_eq!(keyed.find(other, &Filter::default()), Ok(None), "{other}: {text}");
        }
    }
    // Where a sheet has both forms with other values, nobody can say which is meant.
    let both = sheet("Barcode Name,P\nbc-1--bc-1,1\nbc 1,2\n");
    assert!(value(&both, "bc_1", "P").contains("may be \"bc-1--bc-1\" at line 2"), "{}", value(&both, "bc_1", "P"));
    // Where no column has any of the files, each was looked at.
    assert_eq!(keyed(&sheet(older), &["x"]).column(), "Sample Name or Barcode Name or Bio Sample Name");
}

#[test]
fn rows_of_others_are_told_where_a_sample_has_no_own() {
    let lacking = |text: &str, filter: &Filter| {
        let sheet = sheet(text);
        let keyed = keyed(&sheet, &["A"]);
        assert_eq!(keyed.find("A", filter), Ok(None));
        keyed.lacking("A", filter).what
    };
    let cells = |cells: &[&str]| Filter { cells: cells.iter().map(|&cell| cell.to_owned()).collect(), ..lanes(&[1]) };
    let flow_cell = Filter { flow_cell: Some("FAX".to_owned()), ..lanes(&[1]) };
    let of_lanes = "Lane,Sample_ID\n3,A\n4,A\n4,A\n5,A\n6+7,A\n8,A\n1,B\n";
    assert_eq!(
        lacking(of_lanes, &lanes(&[1, 2])),
        "has \"A\" for lane 3 (line 2, column 1), lane 4 (line 3, column 1), lane 5 (line 5, column 1) and 2 more alone, \
         and its files are of lane 1, lane 2"
    );
    assert_eq!(
        lacking("Adapter,Plate Well\nA,1_B01\nB,1_A01\n", &cells(&["1_A01"])),
        "has \"A\" for cell 1_B01 (line 2, column 2) alone, and its files are of cell 1_A01"
    );
    assert_eq!(
        lacking("barcode,flow_cell_id,Lane\nA,FAY,2\nB,FAX,1\n", &flow_cell),
        "has \"A\" for flow cell FAY (line 2, column 2) alone, and its files are of flow cell FAX"
    );
    assert_eq!(lacking("x,barcode\n1,B\n", &flow_cell), "has no \"A\" in barcode (line 1, column 2)");
    let wide = format!("Sample_ID{}\nA\n", ",C".repeat(30));
    let unknown = sheet(&wide).check_name("sample id 2").unwrap_err().to_string();
    assert!(
        unknown.contains("its header at line 1, column 1 has Sample_ID, C, C, C, C, C, C, C, C, C and 21 more"),
        "{unknown}"
    );
}

#[test]
fn a_second_read_that_was_masked_is_told() {
    let is_masked = |settings: &str, of_row: &str| {
        let sheet = sheet(&format!("{settings}\n[BCLConvert_Data]\nSample_ID,OverrideCycles\nA,{of_row}\n"));
        keyed(&sheet, &["A"]).find("A", &Filter::default()).unwrap().unwrap().masks_second_read()
    };
    for (cycles, masks) in [
        ("Y101;I8;I8;N101", true),
        ("y101;i8;n101", true),
        ("Y101;I8;I8;Y101", false),
        ("U7Y94;I8;I8;N7y94", false),
        ("", false),
    ] {
        assert_eq!(is_masked(&format!("[BCLConvert_Settings]\nOverrideCycles,{cycles}"), ""), masks, "{cycles}");
        assert_eq!(is_masked("[BCLConvert_Settings]\nOverrideCycles,Y101;I8;I8;Y101", cycles), masks, "{cycles}");
    }
}

#[test]
fn index_reads_with_more_than_an_index_are_told() {
    let told = |settings: &str, of_row: &str| -> Vec<String> {
        let sheet = sheet(&format!(
            "[Other_Settings]\nOverrideCycles,Y1;U1;U1;Y1\n{settings}\n[BCLConvert_Data]\nSample_ID,OverrideCycles\nA,{of_row}\n"
        ));
        let rows = keyed(&sheet, &["A"]).find("A", &Filter::default()).unwrap().unwrap();
        rows.needed_index_reads().iter().map(|it| format!("{} {} at {}", it.label, it.cycles, it.place)).collect()
    };
    let needed = |settings: &str, of_row: &str| told(&format!("{settings}\nTrimUMI,0"), of_row);
    let settings = |cycles: &str| needed(&format!("[BCLConvert_Settings]\nOverrideCycles,{cycles}"), "");
    assert_eq!(settings("Y53;I8;N8U16;Y53"), ["I2 Y53;I8;N8U16;Y53 at line 4, column 2"]);
    assert_eq!(settings("Y147;I8U9;I8;Y146"), ["I1 Y147;I8U9;I8;Y146 at line 4, column 2"]);
    assert_eq!(settings("Y50;I8;u16"), ["I2 Y50;I8;u16 at line 4, column 2"]);
    // A second read that is an index to the instrument has a file of its own (R2), and the first index is I1.
    assert_eq!(settings("Y50;Y16;I8U9;Y50"), ["I1 Y50;Y16;I8U9;Y50 at line 4, column 2"]);
    for none in ["", "Y151;I8;I8;Y151", "U7N1Y93;I10;I10;U7N1Y93", "Y319;Y319", "U8;I8;I8;U8", "no cycles"] {
        assert!(settings(none).is_empty(), "{none}");
    }
    // A row's own come before those of all.
    let all = "[Settings]\nOverrideCycles,Y53;I8;N8U16;Y53";
    assert_eq!(needed(all, "Y53;I8U9;I8;Y53"), ["I1 Y53;I8U9;I8;Y53 at line 8, column 2"]);
    assert!(needed(all, "Y53;I8;I8;Y53").is_empty());
    assert_eq!(needed(all, "").len(), 1);
    for trimmed in [all.to_owned(), format!("{all}\nTrimUMI,1")] {
        assert!(told(&trimmed, "").is_empty(), "the index reads have no such cycles then");
    }
}

#[test]
fn mixtures_of_old_and_new_are_read() {
    let mixed = "[Header]\nFileFormatVersion,2\n[Data]\nSample_ID,Sample_Project\nA,P1\n[BCLConvert_Data]\n\
                 Sample_ID,Index\nA,ACGT\n";
    let sheet = sheet(mixed);
    assert_eq!((value(&sheet, "A", "Index"), value(&sheet, "A", "Sample_Project")), ("ACGT".into(), "P1".into()));
    let empty = self::sheet("[BCLConvert_Data]\n\n[Data]\nSample_ID,P\nA,1\n");
    assert_eq!(value(&empty, "A", "P"), "1");
    // One sheet behind the other.
    let twice = format!("{V1}{V1}");
    assert_eq!(value(&self::sheet(&twice), "S.2", "Sample_Project"), "P2");
}

#[test]
fn what_is_no_sheet_is_refused_with_its_place() {
    let many = "a".to_owned() + &",".repeat(1_000_000);
    let mut cells = String::new();
    for _ in 0..3000 {
        let _ = writeln!(cells, "a{}", ",".repeat(1000));
    }
    let wide = format!("a\n{many}\n");
    let widest = format!("{many}\n");
    for (bytes, expected) in [
        (&b""[..], "there is nothing in it; the names of the columns were expected at line 1, column 1"),
        (b"\n,,\n \r\n", "there is nothing in it; the names of the columns were expected at line 1, column 1"),
        (b"Sample_ID,P\nA,\"x\nB,y\n", "the quote that is opened at line 2, column 2 is never closed"),
        (b"Sample_ID,P\nA,x\0y\n", "line 2, column 2 has a zero byte"),
        (b"\xd0\xcf\x11\xe0rest", "it is an old Excel workbook (.xls)"),
        (b"PK\x03\x04rest", "it is no workbook that can be read"),
        (
            b"[Header]\nA,1\n[Reads]\n101\n",
            "it has no section with samples ([BCLConvert_Data], [Data] or [Samples]); its last section, \"Reads\", begins at line 3, column 1",
        ),
        (
            b"[Header]\nA,1\n[Data]\n\n",
            "the section \"Data\" at line 3, column 1 has no line with the names of its columns",
        ),
        (
            b"[Data]\nSample_ID,P\nA,1\n[Data]\nSample_ID,Q\nA,1\n",
            "the section \"Data\" stands twice, at line 2, column 1 and at line 5, column 1",
        ),
        (wide.as_bytes(), "line 2, column 16385 is beyond what a sheet has"),
        (widest.as_bytes(), "line 1, column 16385 is beyond what a sheet has"),
        (cells.as_bytes(), "line 1999, column 1 is beyond what a sheet has"),
        (&vec![b'a'; 100 << 20], "it is larger than 16 MiB"),
    ] {
        let error = wrong(bytes);
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn a_row_that_is_wrong_is_told_when_it_is_used() {
    let sheet = sheet("Sample_ID,P,Q\nA,x\nB,x,y,z\nC,x,y,,\n");
    assert_eq!(value(&sheet, "A", "P"), "x");
    assert_eq!(
        value(&sheet, "A", "Q"),
        "the row ends before \"Q\", which would be at line 2, column 3; was the sheet cut off?"
    );
    assert!(value(&sheet, "B", "P").starts_with("line 3, column 4 lies beyond the last column"));
    assert_eq!(value(&sheet, "C", "Q"), "y");
}

/// A workbook with these cells on its first visible sheet; `raw` is the XML of each.
fn workbook(raw: &str) -> Vec<u8> {
    const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    const LINKS: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
    let sheet = |cells: &str| format!(r#"<worksheet xmlns="{MAIN}"><sheetData>{cells}</sheetData></worksheet>"#);
    let parts = [
        (
            "[Content_Types].xml",
            r#"<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>"#.to_owned(),
        ),
        (
            "_rels/.rels",
            format!(
                r#"<Relationships xmlns="{PACKAGE}"><Relationship Id="r" Type="{LINKS}/officeDocument" Target="xl/workbook.xml"/></Relationships>"#
            ),
        ),
        (
            "xl/workbook.xml",
            format!(
                r#"<workbook xmlns="{MAIN}" xmlns:r="{LINKS}"><sheets><sheet name="old" sheetId="1" state="hidden" r:id="a"/><sheet name="now" sheetId="2" r:id="b"/></sheets></workbook>"#
            ),
        ),
        (
            "xl/_rels/workbook.xml.rels",
            format!(
                r#"<Relationships xmlns="{PACKAGE}"><Relationship Id="a" Type="{LINKS}/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="b" Type="{LINKS}/worksheet" Target="worksheets/sheet2.xml"/><Relationship Id="c" Type="{LINKS}/styles" Target="styles.xml"/></Relationships>"#
            ),
        ),
        (
            "xl/styles.xml",
            format!(
                r#"<styleSheet xmlns="{MAIN}"><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>"#
            ),
        ),
        ("xl/worksheets/sheet1.xml", sheet("")),
        ("xl/worksheets/sheet2.xml", sheet(raw)),
    ];
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in parts {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn a_workbook_is_read_cell_by_cell() {
    let text = |cell: &str, text: &str| format!(r#"<c r="{cell}" t="inlineStr"><is><t>{text}</t></is></c>"#);
    let header = ["A2", "B2", "C2", "D2"].into_iter().zip(["Sample", "Number", "Date", "P"]);
    let header: String = header.map(|(cell, name)| text(cell, name)).collect();
    let bytes = workbook(&format!(
        r#"<row r="2">{header}</row><row r="4">{}<c r="B4"><v>12</v></c><c r="C4" s="1"><v>46350</v></c></row><row r="5">{}<c r="B5"><v>1.5</v></c><c r="D5" t="e"><v>#N/A</v></c></row>"#,
        text("A4", " S1 "),
        text("A5", "S2")
    ));
    let sheet = Sheet::parse(&bytes).unwrap();
    for (name, column, expected) in [
        ("S1", "Number", "12"),
        ("S1", "Date", "2026-11-24"),
        ("S1", "P", ""),
        ("S2", "Number", "1.5"),
        ("S2", "P", "\"P\" at cell D5 is #N/A: its formula failed"),
    ] {
        assert_eq!(value(&sheet, name, column), expected, "{name} {column}");
    }
}

#[test]
fn a_workbook_that_unfolds_takes_no_memory() {
    // One cell in the last corner: a table of all that it spans would be 17 billion cells.
    let corner = workbook(
        r#"<row r="1"><c r="A1" t="str"><v>Sample</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>"#,
    );
    assert!(Sheet::parse(&corner).is_ok());
    let bomb = workbook(&" ".repeat(65 << 20));
    assert!(bomb.len() < 1 << 20);
    assert_eq!(wrong(&bomb), SheetError::TooLarge.to_string());
    let mut cut = workbook(r#"<row r="1"><c r="A1" t="str"><v>Sample</v></c></row>"#);
    cut.truncate(cut.len() / 2);
    assert!(wrong(&cut).starts_with("it is no workbook that can be read"));
}

#[test]
fn places_in_a_workbook_are_cells() {
    let place = |column| Place { line: 21, column, is_workbook: true }.to_string();
    assert_eq!([1, 26, 27, 52, 703].map(place), ["cell A21", "cell Z21", "cell AA21", "cell AZ21", "cell AAA21"]);
}

proptest::proptest! {
    /// Whatever a sheet says, the same is found in it, or it is told what is wrong.
    #[test]
    fn no_text_makes_it_panic(text in "[\\[\\]A-Ca,;\"\n\t #1]{0,64}") {
        if let Ok(sheet) = Sheet::parse(text.as_bytes()) {
            let names: Vec<String> = sheet.names().map(str::to_owned).collect();
            for name in &names {
                proptest::prop_assert!(sheet.check_name(name).is_ok(), "{name:?}");
            }
            if let Ok(Some(found)) = keyed(&sheet, &["A"]).find("A", &lanes(&[1])) {
                for name in names.iter().map(String::as_str).chain(["", "Lane"]) {
                    let _ = found.value(name);
                }
            }
        }
    }
}
