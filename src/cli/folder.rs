//! The data folder: its owner's, and nobody else's.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use anyhow::Context;
use nix::sys::stat::{Mode, umask};

/// What a file or folder grants to others than its owner.
const OTHERS: u32 = 0o077;
/// What policast puts into its folder.
const OURS: &[&str] = &["policast.db", "policast.db-wal", "policast.db-shm", "objects"];

/// From now on every file this process makes is its owner's only.
pub fn keep_to_ourselves() {
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
}

/// Makes the folder where it is missing, and closes it and what an earlier version left open in it.
pub fn make(folder: &Path) -> anyhow::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("can't make the folder {}", folder.display()))?;
    let ours = OURS.iter().map(|name| folder.join(name));
    let closed =
        close(folder).and_then(|own| Ok(own + ours.map(|path| close_all(&path)).sum::<io::Result<u64>>()?));
    match closed {
        Ok(0) => {}
        Ok(count) => {
            tracing::warn!(folder = %folder.display(), count, "files and folders that others could read are closed now");
        }
        Err(error) => {
            tracing::warn!(folder = %folder.display(), %error, "others may be able to read what is in it");
        }
    }
    Ok(())
}

/// Closes a file, or a folder with all that is in it; how many were open.
fn close_all(path: &Path) -> io::Result<u64> {
    let mut count = close(path)?;
    // A closed folder with very many files was made so: what is in it was, too, and nobody gets through.
    let is_shard = path.parent().is_some_and(|parent| parent.ends_with("blobs"));
    if path.is_dir() && !(is_shard && count == 0) {
        for entry in fs::read_dir(path)? {
            count += close_all(&entry?.path())?;
        }
    }
    Ok(count)
}

/// 1 where others had been granted something; what isn't there, or went meanwhile, is closed.
fn close(path: &Path) -> io::Result<u64> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mode = metadata.permissions().mode();
    if metadata.is_symlink() || mode & OTHERS == 0 {
        return Ok(0);
    }
    fs::set_permissions(path, Permissions::from_mode(mode & !OTHERS))?;
    Ok(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it is there").permissions().mode() & 0o777
    }

    #[test]
    fn what_an_earlier_version_left_open_is_closed_and_a_strangers_file_is_not_touched() {
        let home = tempfile::tempdir().expect("a folder");
        let data = home.path().join("data");
        let shard = data.join("objects/blobs/0a");
        fs::create_dir_all(&shard).expect("folders");
        let files =
            [data.join("policast.db"), data.join("objects/lock"), shard.join("1-blob"), data.join("notes")];
        for path in files.iter().chain([&data, &shard, &data.join("objects")]) {
            if !path.exists() {
                fs::write(path, "").expect("a file");
            }
            let open = if path.is_dir() { 0o755 } else { 0o644 };
            fs::set_permissions(path, Permissions::from_mode(open)).expect("ours");
        }
        make(&data).expect("a folder");
        assert_eq!(files.each_ref().map(|path| mode(path)), [0o600, 0o600, 0o600, 0o644]);
        assert_eq!([mode(&data), mode(&shard), mode(&data.join("objects"))], [0o700; 3]);
        make(&data).expect("again");
        let fresh = home.path().join("fresh");
        make(&fresh).expect("a folder");
        assert_eq!(mode(&fresh), 0o700);
    }
}
