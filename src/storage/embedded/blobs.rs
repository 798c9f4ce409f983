//! The blob folder: files that are written once, synced, and never changed. Their names are ours; a key never
//! becomes a file name.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

/// Left free on the disk, so that the index can still be written when blobs no longer can.
pub(super) const RESERVE_BYTES: u64 = 64 * 1024 * 1024;
/// Folders below the blob folder; one folder with a million files is slow to list.
pub(super) const SHARDS: u16 = 256;

/// The folder. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Blobs {
    folder: Arc<Path>,
    boot: i64,
    reserve_bytes: u64,
}

/// A file being written; gone again when dropped before it is kept.
pub(super) struct Unfinished {
    pub name: String,
    path: PathBuf,
    file: Option<File>,
    kept: bool,
}

impl Blobs {
    /// Makes the folders that are missing.
    pub fn open(folder: &Path, boot: i64, reserve_bytes: u64) -> std::io::Result<Self> {
        let blobs = Self { folder: folder.into(), boot, reserve_bytes };
        if !blobs.shard(SHARDS - 1).is_dir() {
            std::fs::create_dir_all(folder)?;
            for shard in 0..SHARDS {
                std::fs::create_dir_all(blobs.shard(shard))?;
            }
            File::open(folder)?.sync_all()?;
            folder.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())?;
        }
        Ok(blobs)
    }

    /// A new empty file.
    pub fn create(&self) -> std::io::Result<Unfinished> {
        let id = Uuid::new_v4();
        let name = format!("{}-{}", self.boot, id.simple());
        let path = self.path(&name);
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        Ok(Unfinished { name, path, file: Some(file), kept: false })
    }

    /// The same bytes under a new name, without copying them.
    pub fn duplicate(&self, name: &str) -> std::io::Result<Unfinished> {
        let copy = format!("{}-{}", self.boot, Uuid::new_v4().simple());
        let path = self.path(&copy);
        std::fs::hard_link(self.path(name), &path)?;
        sync_folder(&path)?;
        Ok(Unfinished { name: copy, path, file: None, kept: false })
    }

    /// Where the blob of this name lies.
    pub fn path(&self, name: &str) -> PathBuf {
        let (_, id) = name.split_once('-').unwrap_or(("", name));
        let shard = id.get(..2).and_then(|hex| u16::from_str_radix(hex, 16).ok()).unwrap_or(0);
        self.shard(shard).join(name)
    }

    /// Unlinks blobs no row names any more. What fails is left for the sweep.
    pub fn remove(&self, names: &[String]) {
        for name in names {
            if let Err(error) = std::fs::remove_file(self.path(name)) {
                tracing::warn!(%error, blob = name, "a dropped blob stays until the next start");
            }
        }
    }

    /// Whether so many bytes fit and the reserve is still free.
    pub fn has_room(&self, size_bytes: u64) -> std::io::Result<bool> {
        let disk = nix::sys::statvfs::statvfs(&*self.folder)?;
        let free = disk.blocks_available().saturating_mul(disk.fragment_size());
        Ok(size_bytes.saturating_add(self.reserve_bytes) <= free)
    }

    /// The names in one of the folders that an earlier start made.
    pub fn earlier(&self, shard: u16) -> std::io::Result<Vec<String>> {
        let mine = format!("{}-", self.boot);
        let names = std::fs::read_dir(self.shard(shard))?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        Ok(names.filter(|name| !name.starts_with(&mine)).collect())
    }

    fn shard(&self, shard: u16) -> PathBuf {
        self.folder.join(format!("{shard:02x}"))
    }
}

impl Unfinished {
    pub fn write(&mut self, chunk: &Bytes) -> std::io::Result<()> {
        self.file.as_mut().map_or(Ok(()), |file| file.write_all(chunk))
    }

    /// Brings the bytes and the name to the disk.
    pub fn sync(&mut self) -> std::io::Result<()> {
        if let Some(file) = self.file.take() {
            file.sync_all()?;
        }
        sync_folder(&self.path)
    }

    /// A row names it now, or may: it stays.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(%error, blob = self.name, "an unfinished blob stays until the next start");
        }
    }
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_that_is_not_kept_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path(), 1, 0).unwrap();
        let path = blobs.path(&blobs.create().unwrap().name);
        assert!(!path.exists());
    }

    #[test]
    fn a_duplicate_outlives_its_original() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path(), 1, 0).unwrap();
        let mut original = blobs.create().unwrap();
        original.write(&Bytes::from_static(b"bytes")).unwrap();
        original.sync().unwrap();
        let copy = blobs.duplicate(&original.name).unwrap();
        drop(original);
        assert_eq!(std::fs::read(blobs.path(&copy.name)).unwrap(), b"bytes");
    }

    #[test]
    fn a_disk_without_the_reserve_has_no_room() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Blobs::open(folder.path(), 1, 0).unwrap().has_room(1).unwrap());
        assert!(!Blobs::open(folder.path(), 1, u64::MAX).unwrap().has_room(1).unwrap());
    }
}
