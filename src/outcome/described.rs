//! What tells how many reads a run has: Illumina's `RunInfo.xml`, which BCL Convert copies into its `Reports`, bcl2fastq's
//! `Stats.json`, and `RunStats.json` of Element's bases2fastq [real files of each; MultiQC's test data].

use quick_xml::events::Event;
use quick_xml::reader::Reader;
use serde_json::Value;

/// How many reads each cluster has, index reads aside; `None` where this is not said.
pub(super) fn reads(text: &str) -> Option<usize> {
    match text.trim_start().chars().next()? {
        '<' => run_info(text),
        '{' => stats(&serde_json::from_str(text).ok()?),
        _ => None,
    }
    .filter(|reads| *reads > 0)
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
        assert_eq!(told(&[read("N"), read("Y"), read("Y"), read("N")].concat()), Some(2));
        assert_eq!(told(&read("N").replace(" />", "></Read>")), Some(1));
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
        assert_eq!(reads(&stats(&[lane(&[false, true]), lane(&[false, true, false])])), Some(2));
        assert_eq!(reads("{\"ReadInfosForLanes\": []}"), None);
        assert_eq!(reads("{\"Reads\": [{\"Read\": \"R1\"}, {\"Read\": \"I1\"}, {\"Read\": \"R2\"}]}"), Some(2));
        assert_eq!(reads("{"), None);
    }
}
