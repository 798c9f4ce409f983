#!/usr/bin/env bash
# Makes sound-only.jpg: what viewers of a broadcast see whose encoder sends no pictures, in both languages.
# Usage: sound-only.sh OUTPUT
set -euo pipefail

bold="fontfile='$(fc-match -f '%{file}' 'Noto Sans CJK SC:style=Bold')'"
ink=0x10303A teal=0x0E7C7B paper=0xF6FAF9

# line SIZE COLOUR Y WORDS: centred text.
line() {
    printf "drawtext=expansion=none:%s:fontsize=%s:fontcolor=%s:x=(w-text_w)/2:y=%s:text='%s'" "$bold" "$1" "$2" "$3" "$4"
}

# bar X HEIGHT: one of the bars of a sound, around a line at 400.
bar() {
    printf 'drawbox=x=%s:y=%s:w=40:h=%s:color=%s:t=fill' "$1" "$((400 - $2 / 2))" "$2" "$teal"
}

ffmpeg -v error -nostdin -y -f lavfi -i "color=$paper:s=1920x1080" -frames:v 1 -bitexact -q:v 3 -vf "\
drawbox=x=0:y=0:w=iw:h=28:color=$teal:t=fill,drawbox=x=0:y=ih-28:w=iw:h=28:color=$teal:t=fill,\
$(bar 780 80),$(bar 860 200),$(bar 940 120),$(bar 1020 240),$(bar 1100 100),\
$(line 84 $ink 620 '本场直播仅有声音'),$(line 64 $ink 760 'Sound only')" "$1"
