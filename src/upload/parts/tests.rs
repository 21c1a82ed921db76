use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use rustix::io::Errno;

use super::*;

fn part(dir: &Path, name: &str, bytes: &[u8]) -> Part {
    let path = dir.join(name);
    fs::write(&path, bytes).unwrap();
    let fingerprint = Fingerprint::of(&fs::metadata(&path).unwrap());
    Part { path, fingerprint }
}

fn slot(parts: Vec<Part>) -> Slot {
    Slot { key: "reads1".into(), filename: "s_R1.fastq.gz".into(), parts }
}

const ALL: Checks = Checks { gzip: true, sidecars: true };

fn reader_knowing(slot: &Slot, known: Known) -> SlotReader {
    SlotReader::new("w", slot, ALL, known, &Disk::default(), &CancellationToken::new())
}

fn reader(slot: &Slot) -> SlotReader {
    reader_knowing(slot, Known::default())
}

fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

/// Other bytes in place, with the modification time set back.
fn alter(path: &Path, bytes: &[u8]) {
    let modified = fs::metadata(path).unwrap().modified().unwrap();
    let mut file = File::options().write(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
    file.set_modified(modified).unwrap();
}

/// The same bytes under the same name and time, in another file.
fn replace(path: &Path, bytes: &[u8]) {
    let metadata = fs::metadata(path).unwrap();
    let new = path.with_extension("new");
    fs::write(&new, bytes).unwrap();
    File::options().write(true).open(&new).unwrap().set_modified(metadata.modified().unwrap()).unwrap();
    fs::rename(&new, path).unwrap();
    assert_ne!(fs::metadata(path).unwrap().ino(), metadata.ino());
}

#[tokio::test]
async fn parts_read_as_one_and_hash_as_one() {
    let dir = tempfile::tempdir().unwrap();
    let slot = slot(vec![
        part(dir.path(), "a", b"first "),
        part(dir.path(), "b", b"second "),
        part(dir.path(), "c", b"third"),
    ]);
    let whole = b"first second third";
    for resumed_at in [1, 4, 6, 13, 17] {
        let mut reader = reader(&slot);
        let rest = reader.read(resumed_at, slot.size() - resumed_at).await.unwrap();
        assert_eq!(rest, &whole[resumed_at as usize..]);
        // A chunk that is sent again is read again, and does not count twice.
        reader.read(resumed_at, 1).await.unwrap();
        let hashes = reader.hashes_if_read().unwrap();
        assert_eq!(hashes.sha256, sha256(whole));
        assert_eq!(hashes.parts, [sha256(b"first "), sha256(b"second "), sha256(b"third")], "from {resumed_at}");
        reader.read(0, 7).await.unwrap();
        assert_eq!((reader.sha256_if_read(), reader.identity()), (None, None), "it is begun anew");
        assert_eq!(reader.prefix_if_read(7).unwrap(), sha256(&whole[..7]));
    }
    let mut reader = reader(&slot);
    reader.read(0, 7).await.unwrap();
    assert_eq!(reader.sha256_if_read(), None);
    let hashes = reader.hashes().await.unwrap();
    assert_eq!(hashes.sha256, sha256(whole));
    assert_eq!(hashes.parts, [sha256(b"first "), sha256(b"second "), sha256(b"third")]);
    assert!(reader.identity().is_some());
}

#[tokio::test]
async fn a_part_that_is_not_what_it_was_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let slot = slot(vec![part(dir.path(), "a", b"before")]);
    let mut reader = reader(&slot);
    reader.read(0, 3).await.unwrap();
    File::options().append(true).open(dir.path().join("a")).unwrap().write_all(b"!").unwrap();
    assert!(matches!(reader.read(3, 3).await, Err(PartError::Changed { was: 6, now: 7, .. })));
    assert!(matches!(reader.look_again().await, Err(PartError::Changed { .. })));
    fs::remove_file(dir.path().join("a")).unwrap();
    assert!(matches!(reader.look_again().await, Err(PartError::Gone { .. })));
    rustix::fs::mknodat(rustix::fs::CWD, dir.path().join("a"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
        .unwrap();
    assert!(matches!(reader.read(0, 3).await, Err(PartError::NoFile { .. })), "a pipe does not block");
}

#[tokio::test]
async fn what_was_sent_before_a_restart_is_read_again_and_compared() {
    let dir = tempfile::tempdir().unwrap();
    let slot = slot(vec![part(dir.path(), "a", b"first "), part(dir.path(), "b", b"second")]);
    let whole = b"first second";
    let knows = |bytes: &[u8]| Known { prefix: Some((bytes.len() as u64, sha256(bytes))), identity: None };
    for length in [1, 6, 8] {
        let next = reader_knowing(&slot, knows(&whole[..length])).read(length as u64, 4).await.unwrap();
        assert_eq!(next, &whole[length..length + 4]);
        let mut other = whole[..length].to_vec();
        other[length - 1] ^= 1;
        let next = reader_knowing(&slot, knows(&other)).read(length as u64, 4).await;
        assert!(matches!(next, Err(PartError::Altered { .. })), "{next:?}");
    }
    alter(&dir.path().join("a"), b"FIRST ");
    let next = reader_knowing(&slot, knows(&whole[..8])).read(8, 4).await;
    assert!(matches!(next, Err(PartError::Altered { .. })), "{next:?}");
}

#[tokio::test]
async fn another_inode_or_change_time_makes_it_look_at_the_content() {
    let dir = tempfile::tempdir().unwrap();
    let slot = slot(vec![part(dir.path(), "a", b"first "), part(dir.path(), "b", b"second")]);
    let b = dir.path().join("b");
    let mut reader = reader(&slot);
    reader.read(0, slot.size()).await.unwrap();
    reader.look_again().await.unwrap();
    replace(&b, b"second");
    reader.look_again().await.unwrap();
    alter(&b, b"second");
    reader.look_again().await.unwrap();
    let known = Known { prefix: Some((12, sha256(b"first second"))), identity: reader.identity() };
    reader_knowing(&slot, known.clone()).look_again().await.unwrap();
    for change in [alter, replace] {
        change(&b, b"SECOND");
        let looked = reader.look_again().await;
        assert!(matches!(&looked, Err(PartError::Altered { path }) if *path == b), "{looked:?}");
        let looked = reader_knowing(&slot, known.clone()).look_again().await;
        assert!(matches!(looked, Err(PartError::Altered { .. })), "an earlier process sent it: {looked:?}");
        replace(&b, b"second");
        reader_knowing(&slot, known.clone()).look_again().await.unwrap();
        reader = super::tests::reader(&slot);
        reader.read(0, slot.size()).await.unwrap();
    }
}

#[tokio::test]
async fn checksum_files_beside_a_part_must_agree() {
    let md5 = "8b04d5e3775d298e78455efc5ca404d5"; // of "first"
    let dir = tempfile::tempdir().unwrap();
    let slot = slot(vec![part(dir.path(), "a", b"first"), part(dir.path(), "b", b"second")]);
    let list = dir.path().join("md5sums.txt");
    fs::write(&list, format!("{md5}  a\n")).unwrap();
    let mut reads = reader(&slot);
    reads.read(0, slot.size()).await.unwrap();
    reads.look_again().await.unwrap();
    // Written only after the part was read.
    fs::write(dir.path().join("b.sha256"), sha256(b"second")).unwrap();
    reads.look_again().await.unwrap();
    fs::write(dir.path().join("b.sha256"), sha256(b"other")).unwrap();
    let looked = reads.look_again().await;
    assert!(matches!(&looked, Err(PartError::Mismatch { algorithm: "SHA-256", .. })), "{looked:?}");
    fs::write(&list, format!("{}  a\n", md5.replace('8', "9"))).unwrap();
    let read = reader(&slot).read(0, 6).await;
    assert!(matches!(&read, Err(PartError::Mismatch { by, .. }) if *by == list), "{read:?}");
    let mut unchecked =
        SlotReader::new("w", &slot, Checks::default(), Known::default(), &Disk::default(), &CancellationToken::new());
    unchecked.read(0, slot.size()).await.unwrap();
    unchecked.look_again().await.unwrap();
}

#[tokio::test]
async fn each_part_of_a_slot_must_be_a_whole_gzip() {
    let dir = tempfile::tempdir().unwrap();
    let gzip = |text: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    };
    let (one, two) = (gzip(b"one"), gzip(b"two"));
    let good = slot(vec![part(dir.path(), "a.gz", &one), part(dir.path(), "b.GZ", &two)]);
    reader(&good).hashes().await.unwrap();
    // Together they are whole, but not each.
    let (head, tail) = one.split_at(15);
    let cut = slot(vec![part(dir.path(), "c.gz", head), part(dir.path(), "d.gz", tail)]);
    let read = reader(&cut).read(0, 15).await;
    assert!(matches!(&read, Err(PartError::Corrupt { path, .. }) if path.ends_with("c.gz")), "{read:?}");
    let empty = slot(vec![part(dir.path(), "a.gz", &one), part(dir.path(), "e.gz", b"")]);
    let read = reader(&empty).read(0, one.len() as u64).await;
    assert!(matches!(&read, Err(PartError::Corrupt { path, .. }) if path.ends_with("e.gz")), "{read:?}");
}

/// A disk of a share that hangs until it is told to go on, and how often it was asked for a file.
fn hanging() -> (Disk, mpsc::Sender<()>, Arc<AtomicUsize>) {
    let (go_on, told) = mpsc::channel();
    let (told, asked) = (std::sync::Mutex::new(told), Arc::new(AtomicUsize::new(0)));
    let counted = asked.clone();
    let disk = Disk::new(Duration::from_millis(50), move |path| {
        counted.fetch_add(1, Ordering::SeqCst);
        told.lock().unwrap().recv().ok();
        File::open(path)
    });
    (disk, go_on, asked)
}

#[tokio::test]
async fn a_read_that_hangs_is_left_behind_and_keeps_its_watch_back_until_it_returns() {
    let dir = tempfile::tempdir().unwrap();
    let slot = slot(vec![part(dir.path(), "a", b"first")]);
    let (disk, go_on, asked) = hanging();
    let stopping = CancellationToken::new();
    let reader = |watch| SlotReader::new(watch, &slot, ALL, Known::default(), &disk, &stopping);
    let mut stuck = reader("w");
    for _ in 0..2 {
        let read = stuck.read(0, 5).await;
        assert!(matches!(&read, Err(PartError::Hangs { path }) if *path == slot.parts[0].path), "{read:?}");
    }
    assert!(disk.hangs_at("w").is_some());
    assert!(matches!(reader("w").read(0, 5).await, Err(PartError::Hangs { .. })));
    assert_eq!(asked.load(Ordering::SeqCst), 1, "no second thread is stranded");
    drop(go_on);
    let returned = async {
        while disk.hangs_at("w").is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), returned).await.expect("the read returns");
    assert_eq!(reader("w").read(0, 5).await.unwrap(), "first");
}

#[tokio::test]
async fn a_read_that_hangs_does_not_keep_the_agent_from_stopping() {
    let dir = tempfile::tempdir().unwrap();
    let slot = slot(vec![part(dir.path(), "a", b"first")]);
    let (disk, _go_on, _) = hanging();
    let stopping = CancellationToken::new();
    stopping.cancel();
    let mut reader = SlotReader::new("w", &slot, ALL, Known::default(), &disk, &stopping);
    assert!(matches!(reader.read(0, 5).await, Err(PartError::Stopped)));
}

#[test]
fn a_limit_that_is_reached_is_named_with_its_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let part = part(dir.path(), "a", b"a");
    let text = |errno: Errno| cannot_read(&part, io::Error::from(errno)).to_string();
    assert!(text(Errno::MFILE).contains("LimitNOFILE"), "{}", text(Errno::MFILE));
    assert!(text(Errno::NFILE).contains("fs.file-max"), "{}", text(Errno::NFILE));
}
