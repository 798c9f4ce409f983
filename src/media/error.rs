//! What can go wrong around the caged child, on both sides of the socket.

use std::fmt;
use std::io;
use std::time::Duration;

use ffmpeg_next::ffi::ENOMEM;
use nix::sys::signal::Signal;

use crate::domain::Refusal;

/// Why a media task came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The child said nothing, or did not end, in time; it has been killed.
    #[error("media process gave no sign within {limit:?}")]
    Hung { limit: Duration },
    /// The child computed for this long in one go without a sign; it has been killed.
    #[error("media process computed for {spent:?} without a sign")]
    Busy { spent: Duration },
    /// The child died before it was done.
    #[error("media process ended with {ending}: {stderr}")]
    Crashed { ending: Ending, stderr: String },
    /// The child could not be started.
    #[error("media process can't be started")]
    Start(#[source] io::Error),
    /// One side said what the other can't understand.
    #[error("media process and worker disagree: {0}")]
    Protocol(String),
    /// The socket to the other side broke.
    #[error("socket between worker and media process")]
    Socket(#[source] io::Error),
    /// A lock of the cage would not close.
    #[error("sandbox refused {lock}: {reason}")]
    Sandbox { lock: &'static str, reason: String },
    /// libav gave up; names what it was at.
    #[error("libav could not {doing}")]
    Libav { doing: &'static str, source: ffmpeg_next::Error },
    /// The source was not the same when it was read again.
    #[error("sound of second {second} differs between the first reading and the second")]
    OtherSound { second: usize },
    /// A recording's own files can't be read.
    #[error("recording can't be joined")]
    Recording(#[from] mp4_atom::Error),
    /// The source can't be used, for a reason worth telling its editor.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Error {
    /// The cage had too little memory for the task, and will have no more for the next attempt: libav says so, or Rust's
    /// allocator as it ends the process.
    pub fn is_out_of_memory(&self) -> bool {
        const LAST_WORDS: [&str; 2] = ["memory allocation of ", "Cannot allocate memory"];
        match self {
            Self::Libav { source: ffmpeg_next::Error::Other { errno: ENOMEM }, .. } => true,
            Self::Crashed { stderr, .. } => LAST_WORDS.iter().any(|words| stderr.contains(words)),
            _ => false,
        }
    }

    /// The next attempt would come to the same: what the file takes doesn't depend on the moment, as the wait for a busy
    /// machine does.
    pub fn is_for_good(&self) -> bool {
        const OUT_OF_CPU: i32 = Signal::SIGXCPU as i32;
        match self {
            Self::Busy { .. } | Self::Crashed { ending: Ending::Signal(OUT_OF_CPU), .. } => true,
            error => error.is_out_of_memory(),
        }
    }

    /// For `map_err`: libav's error with what it was at.
    pub fn libav(doing: &'static str) -> impl FnOnce(ffmpeg_next::Error) -> Self {
        move |source| Self::Libav { doing, source }
    }
}

/// How a child died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Code(i32),
    Signal(i32),
    /// Its socket closed and it is not known how it went.
    Unknown,
}

impl From<std::process::ExitStatus> for Ending {
    fn from(status: std::process::ExitStatus) -> Self {
        use std::os::unix::process::ExitStatusExt;
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, Some(signal)) => Self::Signal(signal),
            (None, None) => Self::Unknown,
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::Unknown => f.write_str("an unknown status"),
        }
    }
}
