//! A source that is opened more than once: each reader has a place of its own in the same bytes.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

use ffmpeg_next::format::context::Input;

use super::error::Error;
use super::input;

/// The bytes of a source. A second pass opens them anew, as many demuxers can't go back to the beginning.
pub(super) struct SharedSource<S>(Arc<Mutex<S>>);

impl<S: Read + Seek + Send + 'static> SharedSource<S> {
    pub fn new(bytes: S) -> Self {
        Self(Arc::new(Mutex::new(bytes)))
    }

    /// Opens the source from its first byte, whatever was read of it before.
    pub fn open(&self) -> Result<Input, Error> {
        input::open(self.reader())
    }

    /// A reader that stands at the first byte.
    pub fn reader(&self) -> Reader<S> {
        Reader { bytes: Arc::clone(&self.0), position: 0 }
    }
}

/// One place in the bytes.
pub(super) struct Reader<S> {
    bytes: Arc<Mutex<S>>,
    position: u64,
}

impl<S: Read + Seek> Read for Reader<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.seek(SeekFrom::Start(self.position))?;
        let taken = bytes.read(buffer)?;
        self.position += taken as u64;
        Ok(taken)
    }
}

impl<S: Read + Seek> Seek for Reader<S> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Current(by) => SeekFrom::Start(
                self.position.checked_add_signed(by).ok_or(io::Error::from(io::ErrorKind::InvalidInput))?,
            ),
            to => to,
        };
        self.position = self.bytes.lock().unwrap_or_else(PoisonError::into_inner).seek(to)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn two_readers_do_not_move_each_other() {
        let source = SharedSource::new(Cursor::new(b"abcdef".to_vec()));
        let (mut first, mut second) = (source.reader(), source.reader());
        let mut two = [0; 2];
        first.seek(SeekFrom::End(-2)).expect("sought");
        second.read_exact(&mut two).expect("read");
        assert_eq!(&two, b"ab");
        first.read_exact(&mut two).expect("read");
        assert_eq!(&two, b"ef");
        second.seek(SeekFrom::Current(1)).expect("sought");
        second.read_exact(&mut two).expect("read");
        assert_eq!(&two, b"de");
    }
}
