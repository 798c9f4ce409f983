//! The keys of the embedded server: made once at random, kept in its folder, readable by their owner only.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::OpenError;

const FILE: &str = "credentials.json";

/// What requests are signed with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    pub access_key_id: String,
    pub secret_access_key: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

impl Credentials {
    /// A new pair; the secret has 256 random bits.
    pub fn random() -> Self {
        let (id, secret): ([u8; 10], [u8; 32]) = (rand::random(), rand::random());
        Self { access_key_id: hex::encode_upper(id), secret_access_key: hex::encode(secret) }
    }

    /// The pair kept in the folder of an embedded server, made where there is none yet.
    pub fn in_folder(folder: &Path) -> Result<Self, OpenError> {
        let path = folder.join(FILE);
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|_bad| OpenError::Credentials { path }),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let made = Self::random();
                made.keep(folder).map_err(|source| OpenError::Folder { path, source })?;
                Ok(made)
            }
            Err(source) => Err(OpenError::Folder { path, source }),
        }
    }

    /// Written beside and moved into place, so that half a file never counts.
    fn keep(&self, folder: &Path) -> std::io::Result<()> {
        let unfinished = folder.join(format!("{FILE}.new"));
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.sync_all()?;
        std::fs::rename(&unfinished, folder.join(FILE))?;
        File::open(folder)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn credentials_are_made_once_and_only_their_owner_may_read_them() {
        let folder = tempfile::tempdir().unwrap();
        let made = Credentials::in_folder(folder.path()).unwrap();
        assert_eq!(Credentials::in_folder(folder.path()).unwrap(), made);
        let permissions = std::fs::metadata(folder.path().join(FILE)).unwrap().permissions();
        assert_eq!(permissions.mode() & 0o777, 0o600);
    }

    #[test]
    fn a_broken_file_is_told_and_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), "{").unwrap();
        assert!(matches!(Credentials::in_folder(folder.path()), Err(OpenError::Credentials { .. })));
        assert_eq!(std::fs::read(folder.path().join(FILE)).unwrap(), b"{");
    }

    #[test]
    fn the_secret_is_never_printed() {
        let made = Credentials::random();
        assert!(!format!("{made:?}").contains(&made.secret_access_key));
    }
}
