//! The two questions of an SRT handshake, read byte by byte.
//!
//! `srt-protocol` keeps state for every address that ever sent a datagram and panics on handshakes it
//! doesn't know. So the first question is answered without state, and only a second one that is whole and
//! known goes further.

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use srt_protocol::connection::Connection;
use srt_protocol::options::KeySize;
use srt_protocol::packet::{
    ControlPacket, ControlTypes, HandshakeControlInfo, HandshakeVsInfo, HsV5Info, Packet, ShakeType,
    SrtControlPacket, SrtHandshake, SrtShakeFlags,
};
use srt_protocol::protocol::pending_connection::ConnectionResult;
use srt_protocol::protocol::pending_connection::listen::Listen;
use srt_protocol::settings::ConnInitSettings;

use super::Error;
use super::request::Reason;

/// A header and a handshake without extensions.
const FIXED: usize = 64;

/// A handshake datagram.
pub struct Greeting<'a>(&'a [u8]);

/// What a greeting asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    Induction,
    Conclusion,
    Other,
}

impl<'a> Greeting<'a> {
    /// None where it is no handshake to this listener.
    pub fn read(datagram: &'a [u8]) -> Option<Self> {
        let greets =
            datagram.len() >= FIXED && datagram[..2] == [0x80, 0] && destination(datagram) == Some(0);
        greets.then_some(Greeting(datagram))
    }

    pub fn step(&self) -> Step {
        match self.word(36) {
            1 => Step::Induction,
            u32::MAX => Step::Conclusion,
            _ => Step::Other,
        }
    }

    pub fn cookie(&self) -> u32 {
        self.word(44)
    }

    pub fn peer_socket(&self) -> u32 {
        self.word(40)
    }

    /// The answer to an induction: version 5, SRT's magic number, the cookie; never longer than the
    /// question.
    pub fn offer(&self, cookie: u32) -> Bytes {
        let mut answer = self.reply();
        answer[16..24].copy_from_slice(&[0, 0, 0, 5, 0, 0, 0x4a, 0x17]);
        answer[44..48].copy_from_slice(&cookie.to_be_bytes());
        answer.freeze()
    }

    pub fn refusal(&self, reason: Reason) -> Bytes {
        let mut answer = self.reply();
        answer[20..24].fill(0);
        answer[36..40].copy_from_slice(&reason.on_the_wire().to_be_bytes());
        answer.freeze()
    }

    /// Refuses what `srt-protocol` cannot digest.
    pub fn screen(&self, encrypted: bool) -> Result<(), Reason> {
        if self.word(16) != 5 {
            return Err(Reason::Version);
        }
        let (mut request, mut key) = (false, false);
        let mut rest = &self.0[FIXED..];
        while let [a, b, c, d, tail @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*c, *d])) * 4;
            let content = tail.get(..length).ok_or(Reason::Rogue)?;
            match u16::from_be_bytes([*a, *b]) {
                1 if length == 12 => request = true,
                3 if encrypted && self.is_key_material(content) => key = true,
                3 if !encrypted => return Err(Reason::Unsecure),
                5 if (4..=512).contains(&length) => {}
                6 => return Err(Reason::Congestion),
                7 => return Err(Reason::Filter),
                8 => return Err(Reason::Group),
                _ => return Err(Reason::Rogue),
            }
            rest = &tail[length..];
        }
        match (request, key == encrypted) {
            (true, true) => Ok(()),
            (true, false) => Err(Reason::Unsecure),
            (false, _) => Err(Reason::Rogue),
        }
    }

    /// One or two AES-CTR keys of the announced size, as `srt-protocol` unwraps them.
    fn is_key_material(&self, content: &[u8]) -> bool {
        let [0x12, 0x20, 0x29, flags, _, _, _, _, 2, _, 2, _, _, _, 4, words, ..] = content else {
            return false;
        };
        let keys = usize::from(flags & 3).count_ones() as usize;
        let size = usize::from(*words) * 4;
        let announced = match u16::from_be_bytes([self.0[20], self.0[21]]) {
            0 => 16,
            words => usize::from(words) * 8,
        };
        keys > 0 && [16, 24, 32].contains(&size) && announced == size && content.len() == 40 + keys * size
    }

    fn reply(&self) -> BytesMut {
        let mut answer = BytesMut::from(&self.0[..FIXED]);
        answer[12..16].copy_from_slice(&self.peer_socket().to_be_bytes());
        answer
    }

    fn word(&self, at: usize) -> u32 {
        self.0[at..at + 4].iter().fold(0, |word, byte| word << 8 | u32::from(*byte))
    }
}

/// The socket a datagram is for; 0 is the listener.
pub fn destination(datagram: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(datagram.get(12..16)?.try_into().ok()?))
}

/// Proves that a caller receives at the address it sends from, without remembering it.
pub struct Cookies {
    secret: RandomState,
    since: Instant,
    /// A cookie is good for one to two of these.
    period: Duration,
}

impl Cookies {
    pub fn new(now: Instant, period: Duration) -> Self {
        Cookies { secret: RandomState::new(), since: now, period }
    }

    pub fn bake(&self, peer: SocketAddr, now: Instant) -> u32 {
        self.of_period(peer, self.period(now))
    }

    pub fn knows(&self, cookie: u32, peer: SocketAddr, now: Instant) -> bool {
        let period = self.period(now);
        [period, period.saturating_sub(1)].iter().any(|period| self.of_period(peer, *period) == cookie)
    }

    fn period(&self, now: Instant) -> u128 {
        now.saturating_duration_since(self.since).as_millis() / self.period.as_millis().max(1)
    }

    fn of_period(&self, peer: SocketAddr, period: u128) -> u32 {
        (self.secret.hash_one((peer, period)) >> 32) as u32
    }
}

/// The stream id of a screened conclusion.
pub fn stream_id(conclusion: &Bytes) -> Result<String, Reason> {
    let (_, shake) = parse(conclusion).ok_or(Reason::Rogue)?;
    match shake.info {
        HandshakeVsInfo::V5(HsV5Info { sid, .. }) => Ok(sid.unwrap_or_default()),
        HandshakeVsInfo::V4(_) => Err(Reason::Version),
    }
}

/// Takes a screened conclusion to an open connection and the answer that says so.
pub fn conclude(
    conclusion: &Bytes,
    peer: SocketAddr,
    mut settings: ConnInitSettings,
    arrived: Instant,
) -> Result<(Bytes, Connection), Error> {
    let refused = |why: &str| Error::Handshake { peer, why: why.to_owned() };
    let (packet, mut shake) = parse(conclusion).ok_or_else(|| refused("it cannot be read"))?;
    if let (Some(ours), HandshakeVsInfo::V5(HsV5Info { key_size, .. })) =
        (&mut settings.key_settings, &mut shake.info)
    {
        // Callers who leave it open mean this.
        if *key_size == KeySize::Unspecified {
            *key_size = KeySize::AES128;
        }
        ours.key_size = *key_size;
    }
    let mut listen = Listen::new(settings, false);
    let induction = HandshakeControlInfo {
        shake_type: ShakeType::Induction,
        info: HandshakeVsInfo::V5(HsV5Info::default()),
        ..shake.clone()
    };
    let ConnectionResult::SendPacket((offer, _)) =
        listen.handle_packet(arrived, Ok((with(&packet, induction), peer)))
    else {
        return Err(refused("its induction was not answered"));
    };
    let cookie = shake.syn_cookie;
    shake.syn_cookie =
        offer.control().and_then(ControlPacket::handshake).map_or(cookie, |offer| offer.syn_cookie);
    match listen.handle_packet(arrived, Ok((with(&packet, shake), peer))) {
        ConnectionResult::Connected(Some((answer, _)), connection) => {
            Ok((serialize(answer, cookie), connection))
        }
        ConnectionResult::Reject(..) => Err(Error::Secret { peer }),
        ConnectionResult::NotHandled(why) => Err(refused(&why.to_string())),
        _ => Err(refused("its conclusion was not answered")),
    }
}

fn parse(datagram: &Bytes) -> Option<(ControlPacket, HandshakeControlInfo)> {
    let Ok(Packet::Control(packet)) = Packet::parse(&mut datagram.clone(), false) else { return None };
    let shake = packet.handshake()?.clone();
    Some((packet, shake))
}

fn with(packet: &ControlPacket, shake: HandshakeControlInfo) -> Packet {
    Packet::Control(ControlPacket { control_type: ControlTypes::Handshake(shake), ..packet.clone() })
}

/// libsrt drops late packets and heeds loss reports only with a peer that names both.
fn serialize(answer: Packet, cookie: i32) -> Bytes {
    let mut bytes = BytesMut::new();
    let mut answer = answer;
    if let Packet::Control(ControlPacket { control_type: ControlTypes::Handshake(shake), .. }) = &mut answer {
        shake.syn_cookie = cookie;
        if let HandshakeVsInfo::V5(HsV5Info {
            ext_hs: Some(SrtControlPacket::HandshakeResponse(ours)), ..
        }) = &mut shake.info
        {
            let flags = ours.flags | SrtShakeFlags::TLPKTDROP | SrtShakeFlags::NAKREPORT;
            *ours = SrtHandshake { flags, ..*ours };
        }
    }
    answer.serialize(&mut bytes);
    bytes.freeze()
}
