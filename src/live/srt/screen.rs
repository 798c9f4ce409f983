//! Which datagrams libsrt is given: the kernel hands it what an encoder has to say to a receiver, and the rest to a
//! second socket of the same port, where goodbyes are heard and handshakes refused.
//!
//! libsrt 1.5 tells a peer's goodbye by the same error as a connection it has broken itself, breaks connections over
//! acknowledgements nobody asked for, and sets any packet filter up that a caller names.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use nix::libc::{sock_filter, sock_fprog};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::AttachReusePortCbpf;
use rustix::net::sockopt::set_socket_reuseport;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};

/// A header and a handshake without extensions.
const HANDSHAKE_BYTES: usize = 64;
/// A caller writes at most three of the kinds that are taken, and the kernel's program has no loops.
const MAX_EXTENSIONS: usize = 4;

/// Control types, with the bit that tells them from data (SRT, 3.2).
const HANDSHAKE: u32 = 0x8000;
const KEEP_ALIVE: u32 = 0x8001;
const SHUTDOWN: u32 = 0x8005;
const ACK_ACK: u32 = 0x8006;
const DROP_REQUEST: u32 = 0x8007;
const USER_DEFINED: u32 = 0xffff;
/// Extensions of a handshake (SRT, 3.2.1.1).
const SRT_REQUEST: u32 = 1;
const KEY_REQUEST: u32 = 3;
const STREAM_ID: u32 = 5;
const CONGESTION: u32 = 6;
const FILTER: u32 = 7;
const GROUP: u32 = 8;
const CONCLUSION: u32 = u32::MAX;
/// What is added to a reason where it stands for the type of a handshake.
const FAILURE: u32 = 1000;

/// The index of either socket in the group of its port, which is the order in which they were bound.
const LIBSRT: u32 = 0;
const SCREEN: u32 = 1;

/// The sockets of one port.
pub struct Sockets {
    pub libsrt: UdpSocket,
    pub screen: UdpSocket,
}

/// Why a handshake is refused, by libsrt's number for it (`SRT_REJECT_REASON`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Rogue = 4,
    Version = 8,
    Unsecure = 11,
    Congestion = 13,
    Filter = 14,
    Group = 15,
}

/// What comes of a datagram that libsrt is not given.
#[derive(Debug, PartialEq, Eq)]
pub enum Screened {
    /// The encoder of this connection says goodbye.
    Goodbye(i32),
    /// This answer refuses the handshake.
    Refused([u8; HANDSHAKE_BYTES]),
}

/// Binds both sockets of a port. The first is bound alone: where another server has the port, it is an error.
pub fn open(addr: SocketAddr, encrypted: bool) -> io::Result<Sockets> {
    let libsrt = UdpSocket::bind(addr)?;
    set_socket_reuseport(&libsrt, true)?;
    let addr = libsrt.local_addr()?;
    let family = if addr.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let screen = socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    set_socket_reuseport(&screen, true)?;
    bind(&screen, &addr)?;
    let mut program = program(encrypted);
    let len = program.len().try_into().map_err(io::Error::other)?;
    setsockopt(&libsrt, AttachReusePortCbpf, &sock_fprog { len, filter: program.as_mut_ptr() })?;
    Ok(Sockets { libsrt, screen: screen.into() })
}

/// What to do with a datagram from the second socket; none where it says nothing.
pub fn read(datagram: &[u8], encrypted: bool) -> Option<Screened> {
    match word(datagram, 0)? >> 16 {
        SHUTDOWN => Some(Screened::Goodbye(word(datagram, 12)?.cast_signed())),
        HANDSHAKE if word(datagram, 12)? == 0 && word(datagram, 36)? == CONCLUSION => {
            let fixed = datagram.first_chunk()?;
            Some(Screened::Refused(refuse(fixed, why(datagram, encrypted))))
        }
        _ => None,
    }
}

/// The same handshake, back to the socket it came from, with the reason for its type.
fn refuse(fixed: &[u8; HANDSHAKE_BYTES], refusal: Refusal) -> [u8; HANDSHAKE_BYTES] {
    let mut answer = *fixed;
    answer.copy_within(40..44, 12);
    answer[20..24].fill(0);
    answer[36..40].copy_from_slice(&(FAILURE + refusal as u32).to_be_bytes());
    answer
}

fn why(conclusion: &[u8], encrypted: bool) -> Refusal {
    if word(conclusion, 16) != Some(5) {
        return Refusal::Version;
    }
    let mut at = HANDSHAKE_BYTES;
    let mut key = false;
    while let Some(head) = word(conclusion, at) {
        match head >> 16 {
            KEY_REQUEST if encrypted => key = true,
            KEY_REQUEST => return Refusal::Unsecure,
            CONGESTION => return Refusal::Congestion,
            FILTER => return Refusal::Filter,
            GROUP => return Refusal::Group,
            SRT_REQUEST | STREAM_ID => {}
            _ => return Refusal::Rogue,
        }
        at += 4 + (head as usize & 0xffff) * 4;
    }
    let whole = at == conclusion.len();
    if whole && encrypted && !key { Refusal::Unsecure } else { Refusal::Rogue }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map(|word| u32::from_be_bytes(*word))
}

/// Instructions of the classic packet filter, as `linux/filter.h` composes them.
mod code {
    pub const LOAD: u16 = 0x00;
    pub const LOAD_WORD: u16 = 0x20;
    pub const LOAD_HALF: u16 = 0x28;
    pub const LOAD_HALF_AT: u16 = 0x48;
    pub const LOAD_LENGTH: u16 = 0x80;
    pub const LOAD_MEMORY: u16 = 0x60;
    pub const LOAD_X_MEMORY: u16 = 0x61;
    pub const STORE: u16 = 0x02;
    pub const ADD: u16 = 0x04;
    pub const ADD_X: u16 = 0x0c;
    pub const SHIFT_LEFT: u16 = 0x64;
    pub const IF_EQUAL: u16 = 0x15;
    pub const IF_EQUAL_X: u16 = 0x1d;
    pub const IF_GREATER_X: u16 = 0x2d;
    pub const IF_ANY: u16 = 0x45;
    pub const RETURN: u16 = 0x06;
}

/// Where the program keeps the offset of the next extension, and whether a key has been seen.
const AT: u32 = 0;
const KEYS: u32 = 1;

/// Chooses the socket by what the datagram is. One too short to tell ends the program with 0: libsrt drops it.
fn program(encrypted: bool) -> Vec<sock_filter> {
    let mut program = vec![
        step(code::LOAD_HALF, 0),
        branch(code::IF_ANY, 0x8000, 1, 0),
        step(code::RETURN, LIBSRT),
        branch(code::IF_EQUAL, KEEP_ALIVE, 2, 0),
        branch(code::IF_EQUAL, ACK_ACK, 1, 0),
        branch(code::IF_EQUAL, DROP_REQUEST, 0, 1),
        step(code::RETURN, LIBSRT),
        // Of what is sent beside: another key.
        branch(code::IF_EQUAL, USER_DEFINED, 0, 4),
        step(code::LOAD_HALF, 2),
        branch(code::IF_EQUAL, KEY_REQUEST, 0, 1),
        step(code::RETURN, if encrypted { LIBSRT } else { SCREEN }),
        step(code::RETURN, SCREEN),
        branch(code::IF_EQUAL, HANDSHAKE, 1, 0),
        step(code::RETURN, SCREEN),
        // A connection that is open has had its handshake.
        step(code::LOAD_WORD, 12),
        branch(code::IF_EQUAL, 0, 1, 0),
        step(code::RETURN, SCREEN),
        step(code::LOAD_WORD, 36),
        branch(code::IF_EQUAL, CONCLUSION, 1, 0),
        step(code::RETURN, LIBSRT),
        step(code::LOAD, 0),
        step(code::STORE, KEYS),
        step(code::LOAD, 64),
        step(code::STORE, AT),
    ];
    for _ in 0..MAX_EXTENSIONS {
        program.extend(end(encrypted));
        program.extend(extension(encrypted));
    }
    program.extend(end(encrypted));
    program.push(step(code::RETURN, SCREEN));
    program
}

/// A conclusion that ends here is libsrt's if it has a key where one is asked for, and goes no further.
fn end(encrypted: bool) -> [sock_filter; 7] {
    [
        step(code::LOAD_X_MEMORY, AT),
        step(code::LOAD_LENGTH, 0),
        branch(code::IF_EQUAL_X, 0, 0, 4),
        step(code::LOAD_MEMORY, KEYS),
        branch(code::IF_EQUAL, u32::from(encrypted), 0, 1),
        step(code::RETURN, LIBSRT),
        step(code::RETURN, SCREEN),
    ]
}

/// Steps over an extension that is taken; one that isn't, or is cut short, ends the program.
fn extension(encrypted: bool) -> [sock_filter; 14] {
    let key = if encrypted { KEY_REQUEST } else { SRT_REQUEST };
    [
        branch(code::IF_GREATER_X, 0, 1, 0),
        step(code::RETURN, SCREEN),
        step(code::LOAD_HALF_AT, 0),
        branch(code::IF_EQUAL, SRT_REQUEST, 5, 0),
        branch(code::IF_EQUAL, STREAM_ID, 4, 0),
        branch(code::IF_EQUAL, key, 1, 0),
        step(code::RETURN, SCREEN),
        step(code::LOAD, 1),
        step(code::STORE, KEYS),
        step(code::LOAD_HALF_AT, 2),
        step(code::SHIFT_LEFT, 2),
        step(code::ADD, 4),
        step(code::ADD_X, 0),
        step(code::STORE, AT),
    ]
}

fn step(code: u16, k: u32) -> sock_filter {
    sock_filter { code, jt: 0, jf: 0, k }
}

/// Goes on `jt` instructions after the next one, or `jf`.
fn branch(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, poll};

    use super::*;

    /// The first word, the connection and the type of a handshake, with these extensions.
    fn datagram(first: u32, connection: u32, extensions: &[(u32, usize)]) -> Vec<u8> {
        let mut bytes = vec![0; HANDSHAKE_BYTES];
        bytes[..4].copy_from_slice(&first.to_be_bytes());
        bytes[12..16].copy_from_slice(&connection.to_be_bytes());
        bytes[16..20].copy_from_slice(&5_u32.to_be_bytes());
        bytes[36..40].copy_from_slice(&CONCLUSION.to_be_bytes());
        bytes[40..44].copy_from_slice(&77_u32.to_be_bytes());
        for (kind, words) in extensions {
            bytes.extend((kind << 16 | u32::try_from(*words).expect("a length")).to_be_bytes());
            bytes.resize(bytes.len() + words * 4, 0);
        }
        bytes
    }

    fn conclusion(extensions: &[(u32, usize)]) -> Vec<u8> {
        datagram(HANDSHAKE << 16, 0, extensions)
    }

    /// Whether libsrt gets each.
    fn sorted(encrypted: bool, datagrams: &[Vec<u8>]) -> Vec<bool> {
        let Sockets { libsrt, screen } =
            open("127.0.0.1:0".parse().expect("an address"), encrypted).expect("bound");
        let to = libsrt.local_addr().expect("an address");
        let from = UdpSocket::bind("127.0.0.1:0").expect("bound");
        let sort = |datagram: &Vec<u8>| {
            from.send_to(datagram, to).expect("sent");
            let mut ready = [PollFd::new(&libsrt, PollFlags::IN), PollFd::new(&screen, PollFlags::IN)];
            poll(&mut ready, None).expect("a datagram");
            let is_given = !ready[0].revents().is_empty();
            let socket = if is_given { &libsrt } else { &screen };
            assert_eq!(socket.recv(&mut [0; 2048]).expect("received"), datagram.len());
            is_given
        };
        datagrams.iter().map(sort).collect()
    }

    fn refused(extensions: &[(u32, usize)], encrypted: bool) -> u32 {
        match read(&conclusion(extensions), encrypted) {
            Some(Screened::Refused(answer)) => {
                assert_eq!(word(&answer, 12), Some(77));
                word(&answer, 36).expect("a type") - FAILURE
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn libsrt_is_given_what_an_encoder_says_to_a_receiver_and_nothing_else() {
        let control = |kind: u32| datagram(kind << 16, 9, &[]);
        let given = [control(0), control(KEEP_ALIVE), control(ACK_ACK), control(DROP_REQUEST)];
        assert_eq!(sorted(false, &given), [true; 4]);
        let (acknowledged, lost, congested, failed) = (0x8002, 0x8003, 0x8004, 0x8008);
        let kept = [SHUTDOWN, acknowledged, lost, congested, failed, HANDSHAKE, USER_DEFINED].map(control);
        assert_eq!(sorted(true, &kept), [false; 7]);
        let another_key = datagram(USER_DEFINED << 16 | KEY_REQUEST, 9, &[]);
        assert_eq!(sorted(true, std::slice::from_ref(&another_key)), [true]);
        assert_eq!(sorted(false, &[another_key]), [false]);
    }

    #[test]
    fn a_handshake_goes_on_that_is_whole_and_known_and_has_a_key_where_one_is_asked_for() {
        let (plain, key) = ([(SRT_REQUEST, 3), (STREAM_ID, 4)], (KEY_REQUEST, 14));
        let whole = conclusion(&plain);
        let (bare, cut) = (conclusion(&[]), whole[..whole.len() - 4].to_vec());
        let locked = conclusion(&[plain[0], key, plain[1]]);
        let filtered = conclusion(&[plain[0], plain[1], (FILTER, 3)]);
        let many = conclusion(&[(STREAM_ID, 1); MAX_EXTENSIONS + 1]);
        let endless = [conclusion(&[]), vec![0, 5, 0xff, 0xff]].concat();
        let all = [whole, bare, cut, locked, filtered, many, endless];
        assert_eq!(sorted(false, &all), [true, true, false, false, false, false, false]);
        assert_eq!(sorted(true, &all), [false, false, false, true, false, false, false]);
        let mut induction = conclusion(&[]);
        induction[36..40].copy_from_slice(&[0, 0, 0, 1]);
        assert_eq!(sorted(true, &[induction]), [true]);
    }

    #[test]
    fn a_refusal_says_why() {
        let plain = [(SRT_REQUEST, 3), (STREAM_ID, 4)];
        assert_eq!(refused(&[plain[0], plain[1], (FILTER, 3)], false), 14);
        assert_eq!(refused(&[(CONGESTION, 1)], false), 13);
        assert_eq!(refused(&[(GROUP, 2)], false), 15);
        assert_eq!(refused(&[plain[0], (KEY_REQUEST, 14)], false), 11);
        assert_eq!(refused(&plain, true), 11);
        assert_eq!(refused(&[(99, 1)], false), 4);
        let mut old = conclusion(&[]);
        old[19] = 4;
        let Some(Screened::Refused(answer)) = read(&old, true) else { panic!("no answer") };
        assert_eq!(word(&answer, 36), Some(FAILURE + 8));
    }

    #[test]
    fn a_goodbye_names_its_connection_and_nonsense_has_no_answer() {
        assert_eq!(read(&datagram(SHUTDOWN << 16, 9, &[])[..20], false), Some(Screened::Goodbye(9)));
        assert_eq!(read(&datagram(HANDSHAKE << 16, 9, &[]), false), None);
        assert_eq!(read(&conclusion(&[])[..HANDSHAKE_BYTES - 1], false), None);
        assert_eq!(read(&[0x80], false), None);
    }

    #[test]
    fn a_port_that_another_server_has_is_an_error() {
        let first = open("127.0.0.1:0".parse().expect("an address"), false).expect("bound");
        let again = open(first.libsrt.local_addr().expect("an address"), false);
        assert_eq!(again.err().map(|error| error.kind()), Some(io::ErrorKind::AddrInUse));
    }
}
