//! Callers written by hand.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use policast::live::frame::Media;
use policast::live::srt::{Error, Limits};
use srt_protocol::options::{KeySize, PacketCount, PacketSize, SrtVersion};
use srt_protocol::packet::{
    ControlPacket, ControlTypes, DataEncryption, DataPacket, HandshakeControlInfo, HandshakeVsInfo, HsV5Info,
    MsgNumber, Packet, PacketLocation, SeqNumber, ShakeType, SocketId, SrtControlPacket, SrtHandshake,
    SrtShakeFlags, TimeStamp,
};
use tokio::net::UdpSocket;

use super::noise::Dice;
use super::rig::{KEY, Server, counted, frames, plain, push};

/// A caller that speaks SRT one datagram at a time.
pub struct Caller {
    udp: UdpSocket,
    socket: u32,
    cookie: i32,
    peer: u32,
}

impl Caller {
    pub async fn at(server: SocketAddr, socket: u32) -> Self {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        udp.connect(server).await.unwrap();
        Caller { udp, socket, cookie: 0, peer: 0 }
    }

    async fn ask(&self, datagram: &[u8]) -> Option<HandshakeControlInfo> {
        self.udp.send(datagram).await.unwrap();
        self.hear().await
    }

    /// The next handshake, or none if there is silence.
    async fn hear(&self) -> Option<HandshakeControlInfo> {
        let mut buffer = [0; 2048];
        loop {
            let received = tokio::time::timeout(Duration::from_millis(500), self.udp.recv(&mut buffer)).await;
            let size = received.ok()?.unwrap();
            if let Some(shake) = Packet::parse(&mut &buffer[..size], false)
                .unwrap()
                .control()
                .and_then(|c| c.handshake().cloned())
            {
                return Some(shake);
            }
        }
    }

    /// Whether the next datagram ends the connection.
    async fn hears_shutdown(&self) -> bool {
        let mut buffer = [0; 2048];
        let size = self.udp.recv(&mut buffer).await.unwrap();
        let packet = Packet::parse(&mut &buffer[..size], false).unwrap();
        packet.control().is_some_and(|packet| packet.control_type == ControlTypes::Shutdown)
    }

    /// Asks until it is answered; the kernel drops datagrams under a flood.
    async fn induct(&mut self) {
        let question =
            self.shake(ShakeType::Induction, HandshakeVsInfo::V4(srt_protocol::packet::SocketType::Datagram));
        let answer = loop {
            if let Some(answer) =
                self.ask(&question).await.filter(|answer| answer.shake_type == ShakeType::Induction)
            {
                break answer;
            }
        };
        self.cookie = answer.syn_cookie;
    }

    fn conclusion(&self, key: &str) -> Vec<u8> {
        let request = SrtHandshake {
            version: SrtVersion::CURRENT,
            flags: SrtShakeFlags::SUPPORTED,
            send_latency: Duration::from_millis(120),
            recv_latency: Duration::from_millis(120),
        };
        let info = HsV5Info {
            key_size: KeySize::Unspecified,
            ext_hs: Some(SrtControlPacket::HandshakeRequest(request)),
            ext_km: None,
            ext_group: None,
            sid: Some(key.to_owned()),
        };
        self.shake(ShakeType::Conclusion, HandshakeVsInfo::V5(info))
    }

    fn shake(&self, shake_type: ShakeType, info: HandshakeVsInfo) -> Vec<u8> {
        Self::control(
            0,
            ControlTypes::Handshake(HandshakeControlInfo {
                init_seq_num: SeqNumber::new_truncate(0),
                max_packet_size: PacketSize(1500),
                max_flow_size: PacketCount(8192),
                shake_type,
                socket_id: SocketId(self.socket),
                syn_cookie: self.cookie,
                peer_addr: "127.0.0.1".parse().unwrap(),
                info,
            }),
        )
    }

    fn control(to: u32, control_type: ControlTypes) -> Vec<u8> {
        let (timestamp, dest_sockid) = (TimeStamp::from_micros(0), SocketId(to));
        let mut bytes = BytesMut::new();
        Packet::Control(ControlPacket { timestamp, dest_sockid, control_type }).serialize(&mut bytes);
        bytes.to_vec()
    }

    fn data(&self, number: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = BytesMut::new();
        Packet::Data(DataPacket {
            seq_number: SeqNumber::new_truncate(number),
            message_loc: PacketLocation::ONLY,
            in_order_delivery: false,
            encryption: DataEncryption::None,
            retransmitted: false,
            message_number: MsgNumber::new_truncate(number + 1),
            timestamp: TimeStamp::from_micros(number * 1000),
            dest_sockid: SocketId(self.peer),
            payload: payload.to_vec().into(),
        })
        .serialize(&mut bytes);
        bytes.to_vec()
    }

    async fn open(server: SocketAddr) -> Self {
        let mut caller = Caller::at(server, 77).await;
        caller.induct().await;
        let answer = caller.ask(&caller.conclusion(KEY)).await.unwrap();
        assert_eq!(answer.shake_type, ShakeType::Conclusion);
        caller.peer = answer.socket_id.0;
        caller
    }
}

async fn still_serves(server: &mut Server) {
    let url = server.url(&format!("streamid={KEY}"));
    let plain = plain();
    let (_, broadcast) = tokio::join!(push(&plain, url), server.broadcast());
    broadcast.end.unwrap();
    assert_eq!(frames(&broadcast.media), counted(&plain).await);
}

#[tokio::test]
async fn ten_thousand_half_open_handshakes_leave_nothing_behind() {
    let mut server = Server::start(Limits::default());
    for socket in 1..10_000 {
        let mut caller = Caller::at(server.addr, socket).await;
        caller.induct().await;
        caller.udp.send(&caller.conclusion("not the key")[..70]).await.unwrap();
    }
    assert_eq!(server.count().await, 0);
    still_serves(&mut server).await;
}

#[tokio::test]
async fn garbage_and_wrong_cookies_get_no_answer_and_no_place() {
    let mut server = Server::start(Limits::default());
    let (mut caller, mut dice) = (Caller::at(server.addr, 5).await, Dice(7));
    for _ in 0..20_000 {
        let size = dice.below(1500);
        let mut datagram: Vec<u8> = (0..size).map(|_| dice.byte()).collect();
        if size > 44 && dice.below(2) == 0 {
            datagram[..16].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        }
        caller.udp.send(&datagram).await.unwrap();
        if dice.below(50) == 0 {
            tokio::task::yield_now().await;
        }
    }
    caller.cookie = 1;
    while caller.hear().await.is_some() {}
    assert_eq!(caller.ask(&caller.conclusion(KEY)).await, None);
    assert_eq!(server.count().await, 0);
    still_serves(&mut server).await;
}

#[tokio::test]
async fn conclusions_with_any_byte_changed_never_stop_the_listener() {
    let key_material =
        [&[0, 3, 0, 14, 0x12, 0x20, 0x29, 1, 0, 0, 0, 0, 2, 0, 2, 0, 0, 0, 4, 4][..], &[7; 40]].concat();
    for passphrase in [None, Some("correct horse".to_owned())] {
        let encrypted = passphrase.is_some();
        let mut server = Server::start(Limits { passphrase, idle: Duration::ZERO, ..Limits::default() });
        let (mut dice, mut caller) = (Dice(3), Caller::at(server.addr, 5).await);
        caller.induct().await;
        for round in 0..5_000_u32 {
            caller.socket = 1000 + round;
            let mut conclusion = caller.conclusion([KEY, "another"][dice.below(2)]);
            if encrypted {
                conclusion.extend(&key_material);
                conclusion[20..22].copy_from_slice(&[0, 2]);
            }
            for _ in 0..dice.below(4) {
                let at = 16 + dice.below(conclusion.len() - 16);
                if !(44..48).contains(&at) {
                    conclusion[at] = dice.byte();
                }
            }
            conclusion.truncate(conclusion.len().saturating_sub(dice.below(2) * dice.below(100)));
            caller.udp.send(&conclusion).await.unwrap();
            let mut answer = [0; 2048];
            while caller.udp.try_recv(&mut answer).is_ok() {}
            tokio::task::yield_now().await;
            while server.ended().is_some() {}
        }
        while server.count().await > 0 {
            server.broadcast().await;
        }
        let mut caller = Caller::at(server.addr, 5).await;
        caller.induct().await;
    }
}

#[tokio::test]
async fn a_lost_answer_is_given_again_and_a_second_place_is_not() {
    let mut server = Server::start(Limits::default());
    let caller = Caller::open(server.addr).await;
    let again = caller.ask(&caller.conclusion(KEY)).await.unwrap();
    assert_eq!((again.shake_type, again.socket_id.0), (ShakeType::Conclusion, caller.peer));
    assert_eq!(server.count().await, 1);
}

#[tokio::test]
async fn callers_past_the_limit_are_refused_as_overload() {
    let mut server = Server::start(Limits { connections: 2, ..Limits::default() });
    let _open = [Caller::open(server.addr).await, Caller::open(server.addr).await];
    let mut third = Caller::at(server.addr, 9).await;
    third.induct().await;
    let answer = third.ask(&third.conclusion(KEY)).await.unwrap();
    let ShakeType::Rejection(reason) = answer.shake_type else { panic!("{answer:?}") };
    assert_eq!(i32::from(reason), 2402);
    assert_eq!(server.count().await, 2);
}

#[tokio::test]
async fn a_caller_that_only_connects_is_let_go() {
    let mut server = Server::start(Limits { first_media: Duration::from_millis(300), ..Limits::default() });
    let _caller = Caller::open(server.addr).await;
    let broadcast = server.broadcast().await;
    assert!(matches!(broadcast.end, Err(Error::Silent { .. })), "{:?}", broadcast.end);
    assert_eq!(server.count().await, 0);
}

#[tokio::test]
async fn whatever_an_open_connection_sends_the_listener_goes_on() {
    // Long enough for the encoder that follows, on a busy machine.
    let silence = Duration::from_secs(5);
    let mut server = Server::start(Limits { first_media: silence, idle: silence, ..Limits::default() });
    let (mut dice, caller) = (Dice(11), Caller::open(server.addr).await);
    let clip = std::fs::read(plain()).unwrap();
    let mut number = 0;
    for _ in 0..20_000 {
        let mut datagram = match dice.below(4) {
            0 => Caller::control(caller.peer, ControlTypes::CongestionWarning),
            1 => Caller::control(
                caller.peer,
                ControlTypes::Nak((SeqNumber::new_truncate(0)..SeqNumber::new_truncate(9)).into()),
            ),
            2 => [
                &[0x80 | dice.byte(), dice.byte() & 9, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0][..],
                &caller.peer.to_be_bytes(),
                &[dice.byte(); 40],
            ]
            .concat(),
            _ => {
                number += u32::try_from(dice.below(3)).unwrap();
                caller.data(number, &clip[dice.below(clip.len() - 1316)..][..1316])
            }
        };
        // A shutdown is honoured, and this caller wants to stay.
        if datagram[1] == 5 {
            datagram[1] = 1;
        }
        if dice.below(3) == 0 {
            let at = dice.below(datagram.len());
            if !(12..16).contains(&at) && at > 1 {
                datagram[at] = dice.byte();
            }
        }
        caller.udp.send(&datagram).await.unwrap();
        tokio::task::yield_now().await;
    }
    let broadcast = server.broadcast().await;
    assert!(matches!(broadcast.end, Err(Error::Silent { .. })), "{:?}", broadcast.end);
    assert_eq!(server.count().await, 0);
    still_serves(&mut server).await;
}

#[tokio::test]
async fn nobody_else_can_speak_for_a_connection() {
    let mut server = Server::start(Limits { first_media: Duration::from_millis(500), ..Limits::default() });
    let caller = Caller::open(server.addr).await;
    let other = Caller::at(server.addr, caller.socket).await;
    other.udp.send(&Caller::control(caller.peer, ControlTypes::Shutdown)).await.unwrap();
    let broadcast = server.broadcast().await;
    assert!(matches!(broadcast.end, Err(Error::Silent { .. })), "{:?}", broadcast.end);
    assert!(!broadcast.media.iter().any(|item| matches!(item, Media::Video(_))));
}

#[tokio::test]
async fn a_goodbye_ends_a_stream_and_a_connection_that_breaks_is_silence() {
    let second = Duration::from_secs(1);
    let mut server = Server::start(Limits { first_media: second, idle: second, ..Limits::default() });
    let clip = std::fs::read(plain()).unwrap();
    let leaving = Caller::open(server.addr).await;
    leaving.udp.send(&leaving.data(0, &clip[..1316])).await.unwrap();
    leaving.udp.send(&Caller::control(leaving.peer, ControlTypes::Shutdown)).await.unwrap();
    let broadcast = server.broadcast().await;
    assert!(broadcast.end.is_ok(), "{:?}", broadcast.end);
    assert_eq!(server.count().await, 0);

    let breaking = Caller::open(server.addr).await;
    // Farther ahead than any buffer reaches: libsrt gives up, and says so in the words of a goodbye.
    breaking.udp.send(&breaking.data(1_000_000, &clip[..1316])).await.unwrap();
    while !breaking.hears_shutdown().await {}
    let broadcast = server.broadcast().await;
    assert!(matches!(broadcast.end, Err(Error::Silent { .. })), "{:?}", broadcast.end);
    assert_eq!(server.count().await, 0);
}

#[tokio::test]
async fn a_caller_refused_at_one_address_is_heard_there_with_another_key() {
    let mut server = Server::start(Limits::default());
    let mut caller = Caller::at(server.addr, 77).await;
    caller.induct().await;
    let refused = caller.ask(&caller.conclusion("not the key")).await.unwrap();
    assert!(matches!(refused.shake_type, ShakeType::Rejection(_)), "{refused:?}");
    let taken = caller.ask(&caller.conclusion(KEY)).await.unwrap();
    assert_eq!(taken.shake_type, ShakeType::Conclusion);
    assert_eq!(server.count().await, 1);
}
