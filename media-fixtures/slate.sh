#!/usr/bin/env bash
# Makes slate.jpg: what viewers of a broadcast see while its encoder is away, in both languages.
# Usage: slate.sh OUTPUT
set -euo pipefail

bold="fontfile='$(fc-match -f '%{file}' 'Noto Sans CJK SC:style=Bold')'"
ink=0x10303A teal=0x0E7C7B paper=0xF6FAF9 muted=0x5C7780

# line SIZE COLOUR Y WORDS: centred text.
line() {
    printf "drawtext=expansion=none:%s:fontsize=%s:fontcolor=%s:x=(w-text_w)/2:y=%s:text='%s'" "$bold" "$1" "$2" "$3" "$4"
}

ffmpeg -v error -nostdin -y -f lavfi -i "color=$paper:s=1920x1080" -frames:v 1 -bitexact -q:v 3 -vf "\
drawbox=x=0:y=0:w=iw:h=28:color=$teal:t=fill,drawbox=x=0:y=ih-28:w=iw:h=28:color=$teal:t=fill,\
drawbox=x=860:y=300:w=64:h=160:color=$teal:t=fill,drawbox=x=996:y=300:w=64:h=160:color=$teal:t=fill,\
$(line 84 $ink 560 '直播稍后继续'),\
$(line 64 $ink 700 'The broadcast will continue shortly'),\
$(line 36 $muted 830 '请勿离开本页  ·  Please stay on this page')" "$1"
