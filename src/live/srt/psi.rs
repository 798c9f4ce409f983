//! The two tables of a transport stream: which program (2.4.4.3), and which streams it has (2.4.4.8).
//!
//! `mpeg2ts-reader` has filters for both. They remember a table's version before its checksum is known, so
//! that one damaged or half lost table hides all the good ones after it.

use mpeg2ts_reader::StreamType;
use mpeg2ts_reader::demultiplex::PacketFilter;
use mpeg2ts_reader::packet::{Packet, Pid};
use mpeg2ts_reader::psi::pat::{PatSection, ProgramDescriptor};
use mpeg2ts_reader::psi::pmt::PmtSection;
use mpeg2ts_reader::psi::{
    BufferSectionSyntaxParser, CrcCheckWholeSectionSyntaxPayloadParser, CurrentNext, SectionCommonHeader,
    SectionPacketConsumer, SectionSyntaxSectionProcessor, TableSyntaxHeader, WholeSectionSyntaxPayloadParser,
};

use super::ts::Context;

const CHECKSUM: usize = 4;

/// Sections put together and checked.
pub struct Tables(
    SectionPacketConsumer<
        SectionSyntaxSectionProcessor<
            BufferSectionSyntaxParser<CrcCheckWholeSectionSyntaxPayloadParser<Table>>,
        >,
    >,
);

/// A table, told on only where it changed.
pub struct Table {
    kind: Kind,
    last: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Programs,
    Streams,
}

impl Tables {
    pub fn new(kind: Kind) -> Self {
        let table = CrcCheckWholeSectionSyntaxPayloadParser::new(Table { kind, last: Vec::new() });
        Tables(SectionPacketConsumer::new(SectionSyntaxSectionProcessor::new(
            BufferSectionSyntaxParser::new(table),
        )))
    }
}

impl PacketFilter for Tables {
    type Ctx = Context;

    fn consume(&mut self, context: &mut Context, packet: &Packet<'_>) {
        self.0.consume(context, packet);
    }
}

impl WholeSectionSyntaxPayloadParser for Table {
    type Context = Context;

    fn section<'a>(
        &mut self,
        context: &mut Context,
        header: &SectionCommonHeader,
        syntax: &TableSyntaxHeader<'a>,
        data: &'a [u8],
    ) {
        let expected = if self.kind == Kind::Programs { 0 } else { 2 };
        let is_current = syntax.current_next_indicator() == CurrentNext::Current;
        if header.table_id != expected || !is_current || self.last == data {
            return;
        }
        data.clone_into(&mut self.last);
        let inside = SectionCommonHeader::SIZE + TableSyntaxHeader::SIZE..data.len().saturating_sub(CHECKSUM);
        let Some(inside) = data.get(inside) else { return };
        match self.kind {
            Kind::Programs => {
                context.program(PatSection::new(inside).programs().find_map(|program| streams_pid(&program)));
            }
            Kind::Streams => context.streams(&streams(inside)),
        }
    }
}

fn streams_pid(program: &ProgramDescriptor) -> Option<Pid> {
    match program {
        ProgramDescriptor::Program { pid, .. } => Some(*pid),
        ProgramDescriptor::Network { .. } => None,
    }
}

fn streams(section: &[u8]) -> Vec<(Pid, StreamType)> {
    let Ok(section) = PmtSection::from_bytes(section) else { return Vec::new() };
    section.streams().map(|stream| (stream.elementary_pid(), stream.stream_type())).collect()
}
