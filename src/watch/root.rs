//! The watched folder itself: whether it is there, whether it is still the same one, and what kind of file system it
//! lies on.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::observation::open_files_limit;

/// A watched folder that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Root {
    /// As configured.
    path: PathBuf,
    /// Without links; the form in which events name paths.
    pub canonical: PathBuf,
    pub device: u64,
    inode: u64,
    /// Whether it lies on a file system where events of other hosts' writing do not arrive.
    pub network: bool,
}

impl Root {
    /// Finds the folder.
    ///
    /// # Errors
    /// A sentence for a person: what is wrong and what to do.
    pub fn find(path: &Path) -> Result<Root, String> {
        let look = || {
            let canonical = path.canonicalize()?;
            let metadata = canonical.metadata()?;
            if !metadata.is_dir() {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            let network = rustix::fs::statfs(&canonical).is_ok_and(|fs| is_network(fs.f_type as u64));
            let (device, inode) = (metadata.dev(), metadata.ino());
            Ok(Root { path: path.to_owned(), canonical, device, inode, network })
        };
        look().map_err(|error: io::Error| trouble(path, &error))
    }

    /// Whether the path still leads to the same folder: not deleted, not replaced, nothing mounted over it.
    pub fn is_still_there(&self) -> bool {
        self.path.metadata().is_ok_and(|now| (now.dev(), now.ino()) == (self.device, self.inode))
    }
}

/// Why the watched folder cannot be watched.
pub(super) fn trouble(path: &Path, error: &io::Error) -> String {
    let what_to_do = match error.kind() {
        io::ErrorKind::NotFound => "the folder does not exist; create it, or mount the share that holds it".into(),
        io::ErrorKind::NotADirectory => "it is not a folder; correct the watch's path".into(),
        io::ErrorKind::PermissionDenied => "permission denied; let the agent's user read and enter it".into(),
        _ => format!("{}; see to the disk or the share", why(error)),
    };
    format!("cannot watch {}: {what_to_do}", path.display())
}

/// Why something could not be read; a limit that is reached comes with its remedy.
pub(super) fn why(error: &io::Error) -> String {
    open_files_limit(error).map_or_else(|| error.to_string(), str::to_owned)
}

/// Network and other file systems that change without this kernel's knowledge, by the magic numbers that `statfs`
/// tells (linux/magic.h, and the projects' own sources for those that are not in the kernel).
fn is_network(magic: u64) -> bool {
    const MAGIC: [u64; 15] = [
        0x6969,      // NFS
        0x517b,      // SMB
        0xff53_4d42, // CIFS
        0xfe53_4d42, // SMB2
        0x6573_5546, // FUSE: sshfs, s3fs, glusterfs
        0x0102_1997, // 9p, virtio shares
        0x0bd0_0bd0, // Lustre
        0x4750_4653, // GPFS
        0x00c3_6400, // Ceph
        0x5346_414f, // AFS (OpenAFS)
        0x6b41_4653, // AFS (kAFS)
        0x7375_7245, // Coda
        0x564c,      // NCP
        0x2003_0528, // OrangeFS
        0x1983_0326, // BeeGFS
    ];
    // `f_type` is signed, and 32 bits wide on some machines: CIFS comes out negative there.
    MAGIC.contains(&(magic & 0xffff_ffff))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_recreated_is_another_one() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("runs");
        assert!(Root::find(&path).unwrap_err().contains("does not exist"));
        std::fs::create_dir(&path).unwrap();
        let root = Root::find(&path).unwrap();
        assert!(root.is_still_there());
        // The old one is kept under another name, lest its inode be given out again.
        std::fs::rename(&path, place.path().join("old")).unwrap();
        assert!(!root.is_still_there());
        std::fs::create_dir(&path).unwrap();
        assert!(!root.is_still_there());
        std::fs::remove_dir(&path).unwrap();
        std::fs::write(&path, "").unwrap();
        assert!(Root::find(&path).unwrap_err().contains("not a folder"));
    }

    #[test]
    fn shares_are_told_from_disks() {
        assert!(is_network(0x6969));
        assert!(is_network(0xff53_4d42_u32 as i32 as i64 as u64), "a negative f_type");
        for local in [0xef53, 0x5846_5342, 0x0102_1994, 0x794c_7630, 0x9123_683e] {
            assert!(!is_network(local));
        }
    }
}
