#!/usr/bin/env bash
# Makes every clip in this folder again; needs FFmpeg with libflite, libx264 and libx265, and Noto Sans CJK.
set -euo pipefail
cd "$(dirname "$0")"

bitexact=(-map_metadata -1 -fflags +bitexact -flags:v +bitexact -flags:a +bitexact)
h264=(-c:v libx264 -preset slow -crf 30 -pix_fmt yuv420p -x264-params threads=1)
hevc=(-c:v libx265 -preset slow -crf 32 -pix_fmt yuv420p -tag:v hvc1 -x265-params log-level=none:pools=none:frame-threads=1)
aac=(-c:a aac -b:a 48k)

# make OUTPUT ARGUMENTS: one clip, with the same bytes each time.
make() {
    local output=$1
    shift
    ffmpeg -v error -nostdin -y "$@" "${bitexact[@]}" "$output"
}

# pictures SIZE RATE SECONDS: a test pattern with a running counter.
pictures() {
    echo "testsrc2=size=$1:rate=$2:duration=$3"
}

tone() {
    echo "sine=frequency=440:sample_rate=48000:duration=$1"
}

./explainer.sh explainer.mp4
./slate.sh slate.jpg
./sound-only.sh sound-only.jpg

# Stored lying down, to be turned upright by its display matrix, as phones do.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
make "$work/lying.mp4" -f lavfi -i "$(pictures 480x270 30 3)" -f lavfi -i "$(tone 3)" "${h264[@]}" "${aac[@]}"
make portrait.mp4 -i "$work/lying.mp4" -c copy -metadata:s:v:0 rotate=270

# Pictures dropped at uneven times, with their own timestamps kept.
make vfr.mp4 -f lavfi -i "$(pictures 320x180 30 6)" -f lavfi -i "$(tone 6)" \
    -vf "select='not(mod(n\,5))+lt(mod(n\,60)\,20)'" -fps_mode vfr -g 300 "${h264[@]}" "${aac[@]}"

make hevc.mp4 -f lavfi -i "$(pictures 320x180 25 3)" -f lavfi -i "$(tone 3)" "${hevc[@]}" "${aac[@]}"
make no-audio.mp4 -f lavfi -i "$(pictures 320x180 25 3)" "${h264[@]}"
make audio-only.m4a -f lavfi -i "$(tone 3)" "${aac[@]}"
make surround.mp4 -f lavfi -i "$(pictures 320x180 25 3)" \
    -f lavfi -i "sine=frequency=330:sample_rate=48000:duration=3,pan=5.1|FL=c0|FR=c0|FC=0.5*c0|LFE=0.2*c0|BL=0.3*c0|BR=0.3*c0" \
    "${h264[@]}" -c:a aac -b:a 128k

# A keyframe each second and a pattern that moves: what most tests of the pipeline upload.
make short.mp4 -f lavfi -i "$(pictures 640x360 30 6)" -f lavfi -i "$(tone 6)" -g 30 "${h264[@]}" "${aac[@]}"

# Its index comes first, so what is there can be played.
make "$work/whole.mp4" -f lavfi -i "$(pictures 320x180 25 8)" -f lavfi -i "$(tone 8)" -g 25 "${h264[@]}" "${aac[@]}" -movflags +faststart
head -c $(($(stat -c %s "$work/whole.mp4") * 6 / 10)) "$work/whole.mp4" >truncated.mp4

# Two clips joined without coding them anew: the second has parameter sets of its own.
make "$work/first.mp4" -f lavfi -i "$(pictures 160x90 25 4)" -g 50 "${h264[@]}" -profile:v high
make "$work/second.mp4" -f lavfi -i "$(pictures 160x90 25 4),hue=h=90" -g 50 "${h264[@]}" -profile:v main \
    -x264-params threads=1:cabac=0:ref=1
./two-descriptions.py two-descriptions.mp4 "$work/first.mp4" "$work/second.mp4"

printf '%s\n' 'This is a letter, not a video, whatever its name says.' >not-video.mp4
