#!/usr/bin/env python3
"""two-descriptions.py OUT.mp4 A.mp4 B.mp4: one H.264 track whose samples of B use a second sample description, as joiners
without loss and QuickTime's "Add Clip to End" write it. A and B are MP4s with one H.264 track of one time scale."""
import struct
import sys

STBL = [b"moov", b"trak", b"mdia", b"minf", b"stbl"]


def boxes(data, at=0, end=None):
    end = len(data) if end is None else end
    while at + 8 <= end:
        size, name = struct.unpack(">I4s", data[at : at + 8])
        yield name, at + 8, at + size
        at += size


def body(data, path, at=0, end=None):
    for name, begin, stop in boxes(data, at, end):
        if name == path[0]:
            return data[begin:stop] if len(path) == 1 else body(data, path[1:], begin, stop)
    return None


def words(data, at, count):
    return struct.unpack(f">{count}I", data[at : at + 4 * count])


class Clip:
    def __init__(self, path):
        data = open(path, "rb").read()
        table = lambda name: body(data, STBL + [name])
        self.entry = table(b"stsd")[8:]
        self.scale = words(body(data, STBL[:3] + [b"mdhd"]), 12, 1)[0]
        sizes = table(b"stsz")
        self.sizes = words(sizes, 12, words(sizes, 8, 1)[0])
        chunks = table(b"stco")
        offsets = words(chunks, 8, words(chunks, 4, 1)[0])
        self.samples = self.read(data, table(b"stsc"), offsets)
        self.durations = self.runs(table(b"stts"))
        self.shifts = self.runs(table(b"ctts")) or [0] * len(self.sizes)
        keys = table(b"stss")
        self.keys = words(keys, 8, words(keys, 4, 1)[0])
        self.size = body(data, [b"moov", b"trak", b"tkhd"])[-8:]

    def read(self, data, stsc, offsets):
        runs = [words(stsc, 8 + 12 * at, 2) for at in range(words(stsc, 4, 1)[0])]
        samples, index = [], 0
        for number, at in enumerate(offsets, 1):
            count = [count for first, count in runs if first <= number][-1]
            for size in self.sizes[index : index + count]:
                samples.append(data[at : at + size])
                at += size
            index += count
        return samples

    def runs(self, table):
        pairs = [words(table, 8 + 8 * at, 2) for at in range(words(table, 4, 1)[0])] if table else []
        return [value for count, value in pairs for _ in range(count)]


def box(name, *parts):
    payload = b"".join(parts)
    return struct.pack(">I4s", len(payload) + 8, name) + payload


def full(name, *parts, flags=0):
    return box(name, struct.pack(">I", flags), *parts)


def counted(name, rows):
    return full(name, struct.pack(">I", len(rows)), *[struct.pack(f">{len(row)}I", *row) for row in rows])


def index(clips, offsets):
    samples = [sample for clip in clips for sample in clip.samples]
    durations = [one for clip in clips for one in clip.durations]
    shifts = [one for clip in clips for one in clip.shifts]
    keys, before = [], 0
    for clip in clips:
        keys += [(key + before,) for key in clip.keys]
        before += len(clip.samples)
    length, matrix = sum(durations), struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    stbl = box(
        b"stbl",
        full(b"stsd", struct.pack(">I", len(clips)), *[clip.entry for clip in clips]),
        counted(b"stts", [(1, one) for one in durations]),
        counted(b"ctts", [(1, one) for one in shifts]),
        counted(b"stss", keys),
        full(b"stsz", struct.pack(">II", 0, len(samples)), *[struct.pack(">I", len(one)) for one in samples]),
        counted(b"stsc", [(at, len(clip.samples), at) for at, clip in enumerate(clips, 1)]),
        counted(b"stco", [(one,) for one in offsets]),
    )
    dinf = box(b"dinf", full(b"dref", struct.pack(">I", 1), full(b"url ", flags=1)))
    minf = box(b"minf", full(b"vmhd", bytes(8), flags=1), dinf, stbl)
    mdhd = full(b"mdhd", struct.pack(">IIIIHH", 0, 0, clips[0].scale, length, 0x55C4, 0))
    hdlr = full(b"hdlr", bytes(4), b"vide", bytes(12), b"pictures\0")
    edit = full(b"elst", struct.pack(">IIiI", 1, length * 1000 // clips[0].scale, shifts[0], 65536))
    shown = struct.pack(">IIIII", 0, 0, 1, 0, length * 1000 // clips[0].scale)
    tkhd = full(b"tkhd", shown, bytes(16), matrix, clips[0].size, flags=3)
    times = struct.pack(">IIIIIH", 0, 0, 1000, length * 1000 // clips[0].scale, 65536, 256)
    mvhd = full(b"mvhd", times, bytes(10), matrix, bytes(24), struct.pack(">I", 2))
    return box(b"moov", mvhd, box(b"trak", tkhd, box(b"edts", edit), box(b"mdia", mdhd, hdlr, minf)))


def main(out, *paths):
    clips = [Clip(path) for path in paths]
    head = box(b"ftyp", b"isom\0\0\2\0isomiso2avc1mp41")
    at, offsets = len(head) + len(index(clips, [0] * len(clips))) + 8, []
    for clip in clips:
        offsets.append(at)
        at += sum(map(len, clip.samples))
    data = box(b"mdat", *[sample for clip in clips for sample in clip.samples])
    open(out, "wb").write(head + index(clips, offsets) + data)


main(*sys.argv[1:])
