//! libsrt behind safe calls: the only unsafe code of this room, run in a process of its own.
#![expect(unsafe_code, reason = "libsrt is a C library")]

mod bindings;

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::ptr;
use std::time::Duration;

use nix::libc::{self, sockaddr};

use self::bindings as ffi;

/// Accepted connections that wait to be picked up.
const BACKLOG: c_int = 128;
/// Its threads need little, and each one's stack counts against the limit of the address space.
const STACK_BYTES: usize = 256 << 10;
/// libsrt reckons in microseconds, of which an `int` has no more.
const MAX_PEER_IDLE_MS: c_int = c_int::MAX / 1000;
/// Only what can't be gone on with.
const LOG_CRITICAL: c_int = 2;
/// Stream ids and passphrases are newer than this.
const MIN_VERSION: c_int = 0x01_03_00;
/// The longest payload of a datagram.
pub const PAYLOAD_BYTES: usize = ffi::SRT_LIVE_MAX_PLSIZE as usize;

/// A call that libsrt refused.
#[derive(Debug, thiserror::Error)]
#[error("libsrt refused {call}: {why}")]
pub struct Error {
    call: &'static str,
    why: String,
}

/// How to listen.
pub struct Options<'a> {
    pub latency: Duration,
    /// After this much silence of a peer its connection is lost.
    pub peer_idle: Duration,
    /// How long [`Connection::receive`] waits.
    pub patience: Duration,
    pub passphrase: Option<&'a str>,
}

/// One that wants to connect; it waits for the answer.
pub struct Caller {
    /// What the connection will be called.
    pub socket: i32,
    pub peer: SocketAddr,
    pub stream_id: String,
}

/// The one listener of this process.
pub struct Listener(ffi::SRTSOCKET);

/// An open connection; dropping it closes it.
pub struct Connection(ffi::SRTSOCKET);

/// What came of waiting for a datagram.
pub enum Received {
    /// Of this many bytes; numbers go up by one, modulo 2³¹, where nothing was lost for good.
    Packet { size: usize, number: i32 },
    /// Nothing in time.
    Nothing,
    /// libsrt has given the connection up: the peer is gone, or sent what nobody can follow. Goodbyes don't come here.
    Broken,
}

impl Listener {
    /// Listens at a bound UDP socket. `decide` is called by the thread that receives for every connection, so it has to be
    /// quick; an error is the number told to the caller (1000 or more).
    pub fn open<D>(udp: OwnedFd, options: &Options<'_>, decide: D) -> Result<Self, Error>
    where
        D: Fn(Caller) -> Result<(), i32> + Sync + 'static,
    {
        shrink_stacks()?;
        // SAFETY: both take no pointers.
        let listener = unsafe {
            check("srt_startup", ffi::srt_startup())?;
            ffi::srt_setloglevel(LOG_CRITICAL);
            check("srt_create_socket", ffi::srt_create_socket())?
        };
        set(listener, ffi::SRTO_LATENCY, &millis(options.latency))?;
        set(listener, ffi::SRTO_PEERIDLETIMEO, &millis(options.peer_idle).min(MAX_PEER_IDLE_MS))?;
        set(listener, ffi::SRTO_RCVTIMEO, &millis(options.patience))?;
        set(listener, ffi::SRTO_MINVERSION, &MIN_VERSION)?;
        if let Some(passphrase) = options.passphrase {
            set(listener, ffi::SRTO_PASSPHRASE, passphrase.as_bytes())?;
        }
        // SAFETY: the descriptor is open; libsrt owns it once it has taken it.
        check("srt_bind_acquire", unsafe { ffi::srt_bind_acquire(listener, udp.as_raw_fd()) })?;
        let _ = udp.into_raw_fd();
        let decide: *const D = Box::leak(Box::new(decide));
        // SAFETY: `decide` lives for ever, and `hook` takes it for what it is.
        let hooked = unsafe { ffi::srt_listen_callback(listener, Some(hook::<D>), decide.cast_mut().cast()) };
        check("srt_listen_callback", hooked)?;
        // SAFETY: takes no pointers.
        check("srt_listen", unsafe { ffi::srt_listen(listener, BACKLOG) })?;
        Ok(Self(listener))
    }

    /// Waits for the next connection; the name it had as a caller, too.
    pub fn accept(&self) -> Result<(i32, Connection), Error> {
        // SAFETY: the address of the peer is not asked for.
        let accepted = unsafe { ffi::srt_accept(self.0, ptr::null_mut(), ptr::null_mut()) };
        let accepted = check("srt_accept", accepted)?;
        Ok((accepted, Connection(accepted)))
    }
}

/// A caller that was let in will not connect any more, or has been connected.
pub fn is_gone(socket: i32) -> bool {
    // SAFETY: takes any number.
    unsafe { ffi::srt_getsockstate(socket) >= ffi::SRTS_BROKEN }
}

impl Connection {
    /// How long after it was sent a payload is given out; agreed upon with the caller.
    pub fn latency(&self) -> Duration {
        let (mut latency, mut size): (c_int, c_int) = (0, c_int::try_from(size_of::<c_int>()).unwrap_or(4));
        // SAFETY: libsrt writes an `int`, for which there is room; where it fails, nothing.
        let _ = unsafe {
            ffi::srt_getsockflag(self.0, ffi::SRTO_RCVLATENCY, (&raw mut latency).cast(), &raw mut size)
        };
        Duration::from_millis(latency.try_into().unwrap_or(0))
    }

    /// The next datagram's payload; `buffer` has room for [`PAYLOAD_BYTES`].
    pub fn receive(&mut self, buffer: &mut [u8]) -> Received {
        let mut control = MaybeUninit::<ffi::SRT_MSGCTRL>::zeroed();
        let room = c_int::try_from(buffer.len()).unwrap_or(c_int::MAX);
        // SAFETY: both pointers are good for the call, and all zeroes are a valid `SRT_MSGCTRL`.
        let (size, control) = unsafe {
            let size = ffi::srt_recvmsg2(self.0, buffer.as_mut_ptr().cast(), room, control.as_mut_ptr());
            (size, control.assume_init())
        };
        if let Ok(size @ 1..) = usize::try_from(size) {
            return Received::Packet { size, number: control.pktseq };
        }
        // SAFETY: where the system's own number would go is not asked for.
        match unsafe { ffi::srt_getlasterror(ptr::null_mut()) } {
            ffi::SRT_ETIMEOUT | ffi::SRT_EASYNCRCV if size < 0 => Received::Nothing,
            _ => Received::Broken,
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: takes any number.
        let _ = unsafe { ffi::srt_close(self.0) };
    }
}

/// Called by libsrt for each caller.
///
/// # Safety
/// `decide` is a `D` that lives, `peer` an address, `stream_id` a text with its end.
unsafe extern "C" fn hook<D>(
    decide: *mut c_void,
    socket: ffi::SRTSOCKET,
    _version: c_int,
    peer: *const sockaddr,
    stream_id: *const c_char,
) -> c_int
where
    D: Fn(Caller) -> Result<(), i32> + Sync + 'static,
{
    // SAFETY: as promised.
    let (decide, peer, stream_id) =
        unsafe { (&*decide.cast::<D>(), address(peer), CStr::from_ptr(stream_id)) };
    let Some(peer) = peer else { return -1 };
    let stream_id = stream_id.to_string_lossy().into_owned();
    let Err(reason) = decide(Caller { socket, peer, stream_id }) else { return 0 };
    // SAFETY: takes any numbers.
    let _ = unsafe { ffi::srt_setrejectreason(socket, reason) };
    -1
}

/// # Safety
/// `peer` is an address of its family.
unsafe fn address(peer: *const sockaddr) -> Option<SocketAddr> {
    // SAFETY: as promised; each family has a shape of its own.
    unsafe {
        match c_int::from((*peer).sa_family) {
            libc::AF_INET => {
                let peer = peer.cast::<libc::sockaddr_in>().read_unaligned();
                let ip = Ipv4Addr::from(u32::from_be(peer.sin_addr.s_addr));
                Some((ip, u16::from_be(peer.sin_port)).into())
            }
            libc::AF_INET6 => {
                let peer = peer.cast::<libc::sockaddr_in6>().read_unaligned();
                let ip = Ipv6Addr::from(peer.sin6_addr.s6_addr);
                Some((ip, u16::from_be(peer.sin6_port)).into())
            }
            _ => None,
        }
    }
}

/// Gives every thread that libsrt makes a smaller stack than the eight MiB of the C library.
fn shrink_stacks() -> Result<(), Error> {
    let mut attributes = MaybeUninit::<ffi::pthread_attr_t>::uninit();
    // SAFETY: the attributes are initialised before anything else is done with them.
    let failed = unsafe {
        ffi::pthread_attr_init(attributes.as_mut_ptr()) != 0
            || ffi::pthread_attr_setstacksize(attributes.as_mut_ptr(), STACK_BYTES as _) != 0
            || ffi::pthread_setattr_default_np(attributes.as_ptr()) != 0
    };
    let why = || format!("stacks of {STACK_BYTES} bytes");
    if failed { Err(Error { call: "pthread_setattr_default_np", why: why() }) } else { Ok(()) }
}

fn set<T: ?Sized>(socket: ffi::SRTSOCKET, option: ffi::SRT_SOCKOPT, value: &T) -> Result<(), Error> {
    let size = c_int::try_from(size_of_val(value)).unwrap_or(c_int::MAX);
    // SAFETY: libsrt reads `size` bytes, and knows how many each option has.
    let set = unsafe { ffi::srt_setsockflag(socket, option, ptr::from_ref(value).cast(), size) };
    check("srt_setsockflag", set).map(drop)
}

fn millis(span: Duration) -> c_int {
    c_int::try_from(span.as_millis()).unwrap_or(c_int::MAX)
}

fn check(call: &'static str, result: c_int) -> Result<c_int, Error> {
    if result >= 0 {
        return Ok(result);
    }
    // SAFETY: the text is libsrt's own, with its end, and good until the next call of this thread.
    let why = unsafe { CStr::from_ptr(ffi::srt_getlasterror_str()) };
    Err(Error { call, why: why.to_string_lossy().into_owned() })
}
