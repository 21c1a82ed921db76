//! What tells how many reads a run has: Illumina's `RunInfo.xml`, which BCL Convert copies into its `Reports`, bcl2fastq's
//! `Stats.json`, and `RunStats.json` of Element's bases2fastq [real files of each; MultiQC's test data]; and how many were
//! planned: the section `[Reads]` of a sample sheet [irida-uploader's and samshee's].

use quick_xml::events::Event;
use quick_xml::reader::Reader;
use serde_json::Value;

/// How many reads each cluster has, index reads aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadCount {
    pub reads: usize,
    /// Whether a sample sheet says so, which somebody wrote before the run.
    pub is_planned: bool,
}

/// How many reads each cluster has; `None` where this is not said.
pub(super) fn reads(text: &str) -> Option<ReadCount> {
    let (reads, is_planned) = match text.trim_start().chars().next()? {
        '<' => (run_info(text)?, false),
        '{' => (stats(&serde_json::from_str(text).ok()?)?, false),
        _ => (planned(text), true),
    };
    (reads > 0).then_some(ReadCount { reads, is_planned })
}

/// `[Reads]`, and then a line of cycles for each read, or `Read1Cycles,151`.
fn planned(text: &str) -> usize {
    let cells = text.lines().map(|line| line.split(',').map(|cell| cell.trim().trim_matches('"')));
    let mut first_two = cells.map(|mut cells| (cells.next().unwrap_or_default(), cells.next().unwrap_or_default()));
    let is_count = |cell: &str| cell.parse::<u32>().is_ok_and(|cycles| cycles > 0);
    let is_read = |name: &str| {
        let number = name.strip_prefix("Read").and_then(|name| name.strip_suffix("Cycles"));
        number.is_some_and(|number| number.parse::<u8>().is_ok())
    };
    let _ = first_two.find(|(cell, _)| cell.eq_ignore_ascii_case("[Reads]"));
    let section = first_two.take_while(|(cell, _)| !cell.starts_with('['));
    section.filter(|(first, second)| is_count(first) || (is_read(first) && is_count(second))).count()
}

/// `<Read Number="1" NumCycles="151" IsIndexedRead="N" />`, once for each.
fn run_info(text: &str) -> Option<usize> {
    let mut reader = Reader::from_str(text);
    let (mut reads, mut depth) = (0, 0_usize);
    loop {
        let start = match reader.read_event().ok()? {
            Event::Start(start) => {
                depth += 1;
                start
            }
            Event::Empty(start) => start,
            Event::End(_) => {
                depth = depth.saturating_sub(1);
                continue;
            }
            // What was cut off tells of too few.
            Event::Eof => return (depth == 0).then_some(reads),
            _ => continue,
        };
        let name: &str = start.local_name().into_inner();
        if name == "Read" {
            let index = start.try_get_attribute("IsIndexedRead").ok()??;
            reads += usize::from(index.value.as_ref() == "N");
        }
    }
}

/// Of the lanes, the most; bases2fastq has one list for all: `"Reads": [{"Read": "R1"}, {"Read": "R2"}]`.
fn stats(stats: &Value) -> Option<usize> {
    if let Some(reads) = stats.get("Reads") {
        let is_read =
            |read: &&Value| read.get("Read").and_then(Value::as_str).is_some_and(|name| name.starts_with('R'));
        return Some(reads.as_array()?.iter().filter(is_read).count());
    }
    let lanes = stats.get("ReadInfosForLanes")?.as_array()?;
    let of_lane = |lane: &Value| {
        let reads = lane.get("ReadInfos")?.as_array()?.iter();
        Some(reads.filter(|read| read.get("IsIndexedRead") == Some(&Value::Bool(false))).count())
    };
    lanes.iter().filter_map(of_lane).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_info_tells_of_reads_and_not_of_index_reads() {
        let read = |index: &str| format!("<Read Number=\"1\" NumCycles=\"151\" IsIndexedRead=\"{index}\" />");
        let info = |reads: &str| {
            format!("\u{feff}<?xml version=\"1.0\"?><RunInfo><Run><Reads>{reads}</Reads></Run></RunInfo>")
        };
        let told = |reads: &str| crate::outcome::reads(info(reads).as_bytes());
        let counted = |reads| Some(ReadCount { reads, is_planned: false });
        assert_eq!(told(&[read("N"), read("Y"), read("Y"), read("N")].concat()), counted(2));
        assert_eq!(told(&read("N").replace(" />", "></Read>")), counted(1));
        assert_eq!(reads("<RunInfo><Run><Reads><Read IsIndexedRead=\"N\"/>"), None, "cut off");
        assert_eq!(reads("<RunInfo></RunInfo>"), None);
        assert_eq!(reads("<RunInfo><Read Number=\"1\"/></RunInfo>"), None);
    }

    #[test]
    fn the_statistics_of_demultiplexers_tell_it() {
        let read = |is_index: bool| format!("{{\"Number\": 1, \"NumCycles\": 8, \"IsIndexedRead\": {is_index}}}");
        let lane = |reads: &[bool]| {
            let reads: Vec<_> = reads.iter().copied().map(read).collect();
            format!("{{\"LaneNumber\": 1, \"ReadInfos\": [{}]}}", reads.join(", "))
        };
        let stats = |lanes: &[String]| format!("{{\"ReadInfosForLanes\": [{}]}}", lanes.join(", "));
        let counted = |reads| Some(ReadCount { reads, is_planned: false });
        assert_eq!(reads(&stats(&[lane(&[false, true]), lane(&[false, true, false])])), counted(2));
        assert_eq!(reads("{\"ReadInfosForLanes\": []}"), None);
        assert_eq!(reads("{\"Reads\": [{\"Read\": \"R1\"}, {\"Read\": \"I1\"}, {\"Read\": \"R2\"}]}"), counted(2));
        assert_eq!(reads("{"), None);
    }

    #[test]
    fn a_sample_sheet_tells_what_was_planned() {
        let planned = |text: &str| reads(text).map(|count| (count.reads, count.is_planned));
        assert_eq!(planned("[Header]\nDate,1\n[Reads],,\n151,,\n151,,\n,,\n[Settings],,\n301,,\n"), Some((2, true)));
        assert_eq!(planned("[Header]\r\n\r\n[Reads]\r\n251\r\n\r\n[Data]\r\nSample_ID\r\n"), Some((1, true)));
        let v2 = "[Header]\n[Reads]\nRead1Cycles,53\nRead2Cycles,53\nIndex1Cycles,8\n\n[BCLConvert_Data]\nLane\n1\n";
        assert_eq!(planned(v2), Some((2, true)));
        assert_eq!(planned("[Reads]\nRead1Cycles,53\nRead2Cycles,0\n"), Some((1, true)));
        for other in ["Sample_ID\n151\n151\n", "[Data]\nSample_ID\n1\n", "[Reads]\n", ""] {
            assert_eq!(planned(other), None, "{other}");
        }
    }
}
