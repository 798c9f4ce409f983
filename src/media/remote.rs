//! The source as the child sees it: a file whose blocks are asked of the worker over the socket.

use std::collections::VecDeque;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::mpsc::Receiver;

use super::task::Event;
use super::wire::Emit;

/// Small enough that hopping between index and data wastes little.
const BLOCK_BYTES: u64 = 256 << 10;
/// How far a steady reader reads ahead, in blocks.
const MAX_RUN: u64 = 8;
/// Blocks kept, so that index, audio and video regions don't push each other out.
const KEPT_BLOCKS: usize = 48;

/// A blocking reader over blocks that come from the worker.
pub struct Remote {
    size: u64,
    position: u64,
    emit: Emit,
    replies: Receiver<Vec<u8>>,
    /// Most recently used last.
    blocks: VecDeque<(u64, Vec<u8>)>,
    /// The block after the last one fetched, and how many were fetched then.
    next: u64,
    run: u64,
}

impl Remote {
    /// A source of `size` bytes whose `Read` events are answered through `replies`.
    pub fn new(size: u64, emit: Emit, replies: Receiver<Vec<u8>>) -> Self {
        Self { size, position: 0, emit, replies, blocks: VecDeque::new(), next: 0, run: 1 }
    }

    fn block(&mut self, wanted: u64) -> io::Result<&[u8]> {
        if let Some(at) = self.blocks.iter().position(|(index, _)| *index == wanted) {
            if let Some(block) = self.blocks.remove(at) {
                self.blocks.push_back(block);
            }
        } else {
            self.fetch(wanted)?;
        }
        let kept = self.blocks.iter().rev().find(|(index, _)| *index == wanted);
        Ok(kept.map_or(&[], |(_, bytes)| bytes))
    }

    /// Fetches a run of blocks, twice as long each time the reader goes straight on.
    fn fetch(&mut self, wanted: u64) -> io::Result<()> {
        self.run = if wanted == self.next { (self.run * 2).min(MAX_RUN) } else { 1 };
        self.next = wanted + self.run;
        let bytes = self.ask(wanted * BLOCK_BYTES, self.run * BLOCK_BYTES)?;
        let blocks = bytes.chunks(usize::try_from(BLOCK_BYTES).map_err(io::Error::other)?);
        for (index, block) in (wanted..).zip(blocks).collect::<Vec<_>>().into_iter().rev() {
            self.blocks.retain(|(kept, _)| *kept != index);
            self.blocks.push_back((index, block.to_vec()));
        }
        while self.blocks.len() > KEPT_BLOCKS {
            self.blocks.pop_front();
        }
        Ok(())
    }

    fn ask(&self, offset: u64, len: u64) -> io::Result<Vec<u8>> {
        let len = len.min(self.size.saturating_sub(offset));
        let asked = u32::try_from(len).map_err(io::Error::other)?;
        self.emit.send(&Event::Read { offset, len: asked }).map_err(io::Error::other)?;
        let mut bytes = self.replies.recv().map_err(io::Error::other)?;
        bytes.truncate(usize::try_from(len).map_err(io::Error::other)?);
        Ok(bytes)
    }
}

impl Read for Remote {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position >= self.size || buffer.is_empty() {
            return Ok(0);
        }
        let within = usize::try_from(self.position % BLOCK_BYTES).map_err(io::Error::other)?;
        let block = self.block(self.position / BLOCK_BYTES)?;
        let bytes = block.get(within..).unwrap_or_default();
        let taken = bytes.len().min(buffer.len());
        buffer[..taken].copy_from_slice(&bytes[..taken]);
        self.position += taken as u64;
        Ok(taken)
    }
}

impl Seek for Remote {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        let Some(target) = target else { return Err(io::ErrorKind::InvalidInput.into()) };
        self.position = target;
        Ok(target)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, mpsc};

    use super::*;

    fn remote(content: Vec<u8>) -> (Remote, Arc<AtomicUsize>) {
        let (answers, replies) = mpsc::channel();
        let (answers, asked) = (Mutex::new(answers), Arc::new(AtomicUsize::new(0)));
        let (size, count) = (content.len() as u64, Arc::clone(&asked));
        let emit = Emit::new(move |event, _| {
            let Event::Read { offset, len } = event else { return Ok(()) };
            let from = usize::try_from(*offset).expect("small");
            let to = (from + *len as usize).min(content.len());
            count.fetch_add(1, Ordering::Relaxed);
            answers.lock().expect("alone").send(content[from..to].to_vec()).expect("heard");
            Ok(())
        });
        (Remote::new(size, emit, replies), asked)
    }

    fn content() -> Vec<u8> {
        (0..3_000_001_u32).map(|at| (at % 251) as u8).collect()
    }

    #[test]
    fn every_byte_arrives_in_order_and_few_questions_are_asked() {
        let (mut remote, asked) = remote(content());
        let mut read = Vec::new();
        remote.read_to_end(&mut read).expect("read");
        assert!(read == content());
        assert!(asked.load(Ordering::Relaxed) <= 4, "{asked:?}");
    }

    #[test]
    fn hopping_between_two_regions_asks_once_for_each() {
        let (mut remote, asked) = remote(content());
        let mut byte = [0; 1];
        for _ in 0..10 {
            for offset in [0, 2_900_000] {
                remote.seek(SeekFrom::Start(offset)).expect("sought");
                remote.read_exact(&mut byte).expect("read");
                assert_eq!(u64::from(byte[0]), offset % 251);
            }
        }
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn the_end_is_an_end_and_before_the_start_is_an_error() {
        let (mut remote, _) = remote(vec![1, 2, 3]);
        remote.seek(SeekFrom::End(0)).expect("sought");
        assert_eq!(remote.read(&mut [0; 4]).expect("read"), 0);
        assert!(remote.seek(SeekFrom::End(-4)).is_err());
    }
}
