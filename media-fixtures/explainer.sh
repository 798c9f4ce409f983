#!/usr/bin/env bash
# Makes explainer.mp4: six spoken slides about an invented plan for clean air, from FFmpeg's own sources alone.
# Usage: explainer.sh OUTPUT
set -euo pipefail

output=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# drawtext finds a family by its name, but only its regular face.
regular="font='Noto Sans CJK SC'"
bold="fontfile='$(fc-match -f '%{file}' 'Noto Sans CJK SC:style=Bold')'"
ink=0x10303A teal=0x0E7C7B mint=0xBFE3DC paper=0xF6FAF9 muted=0x5C7780 amber=0xF2A541 red=0xD1495B white=0xFFFFFF
fade=0.5
lengths=(5.1 4.9 7.0 4.8 5.3 6.0)
narration=(
    "Cleaner air by twenty thirty. Here is what the city's new plan means for you."
    "Fine dust has fallen for four years. But it is still a third above the limit."
    "Three measures will change that. Electric buses, clean heating, and building sites that keep their dust."
    "By twenty twenty eight, every city bus will run on electricity."
    "When you replace an old boiler, the city pays sixty percent of the cost."
    "Tell us what you think. The plan is open for comment until the thirtieth of June."
)

# text SIZE COLOUR X Y START FACE WORDS: a line that slides in and fades in at START seconds.
text() {
    local in="clip((t-$5)/0.45\,0\,1)"
    printf "drawtext=expansion=none:%s:fontsize=%s:fontcolor=%s:x='%s-36*(1-%s)':y='%s':alpha='%s':text='%s'" \
        "$6" "$1" "$2" "$3" "$in" "$4" "$in" "$7"
}

# disc SIZE COLOUR X Y: a filled circle; X and Y may use t.
disc() {
    printf "drawtext=expansion=none:$regular:fontsize=%s:fontcolor=%s:x='%s':y='%s':text='●'" "$1" "$2" "$3" "$4"
}

# rise LABEL_IN LABEL_OUT X BASE WIDTH HEIGHT COLOUR START: a bar that grows out of its base line.
rise() {
    local grown="(1-pow(1-clip((t-$8)/0.9\,0\,1)\,3))"
    printf "color=%s:s=%sx%s:r=30[bar%s];[%s][bar%s]overlay=x=%s:y='%s-%s*%s':shortest=1[%s]" \
        "$7" "$5" "$6" "$2" "$1" "$2" "$3" "$4" "$6" "$grown" "$2"
}

# slide NUMBER GRAPH: renders one slide without loss; GRAPH ends in [out].
slide() {
    ffmpeg -v error -y -filter_complex "$2;[out]trim=duration=${lengths[$1]},format=yuv420p[v]" -map '[v]' \
        -c:v libx264 -preset ultrafast -qp 0 "$work/slide$1.mkv"
    printf '%s' "${narration[$1]}" >"$work/words$1.txt"
}

# page HEADING [FILTER]: the background, heading and agency that the inner slides share.
page() {
    printf '%s,' "color=$paper:s=1920x1080:r=30" ${2:+"$2"}
    printf '%s,' "drawbox=x=0:y=0:w=28:h=ih:color=$teal:t=fill"
    printf '%s,' "$(text 30 "$muted" 140 92 0 "$regular" 'CITY OF RIVERSIDE  ·  CLEAN AIR PLAN')"
    printf '%s' "$(text 84 "$ink" 136 140 0.1 "$bold" "$1")"
}

moon=$(disc 1500 "$mint@0.35" "1180+26*t" "180-14*t")

# cover HEADING CJK LINE: the dark background of the first and last slides.
cover() {
    printf '%s,' "color=0x0B3C49:s=1920x1080:r=30" "$(disc 1700 "$teal@0.55" "900+30*t" "-420+10*t")"
    printf '%s,' "$(disc 900 "$amber@0.85" "1430-14*t" "330-24*t")" "drawbox=x=140:y=330:w=120:h=12:color=$amber:t=fill"
    printf '%s,' "$(text 124 "$white" 132 370 0.2 "$bold" "$1")" "$(text 64 "$mint" 140 560 0.7 "$regular" "$2")"
    printf '%s' "$(text 44 "$white" 140 690 1.2 "$regular" "$3")"
}

dust() {
    local graph="$(page 'Less fine dust, but still too much')[a0]" base=880 at=0 x=240 height
    local years=(2022 2023 2024 2025) values=(41 38 36 33)
    for value in "${values[@]}"; do
        height=$((value * 13))
        graph+=";$(rise "a$at" "a$((at + 1))" $x $base 230 $height "$teal" "0.$((4 + at))")"
        x=$((x + 330)) at=$((at + 1))
    done
    graph+=";color=$paper:s=1892x200:r=30[floor];[a4][floor]overlay=x=28:y=$base:shortest=1,drawbox=x=200:y=$base:w=1360:h=4:color=$ink:t=fill"
    x=240
    for at in 0 1 2 3; do
        graph+=",$(text 44 "$ink" $((x + 60)) $((base + 24)) 0.3 "$regular" "${years[$at]}")"
        graph+=",$(text 60 "$white" $((x + 78)) $((base - 96)) 1.3 "$bold" "${values[$at]}")"
        x=$((x + 330))
    done
    graph+=",drawbox=x=200:y=$((base - 325)):w=1360:h=6:color=$red:t=fill:enable='gte(t\,2.4)'"
    graph+=",$(text 44 "$red" 1590 $((base - 352)) 2.4 "$bold" 'limit 25')"
    graph+=",$(text 32 "$muted" 240 990 0.5 "$regular" 'Fine dust (PM2.5), yearly mean in µg/m³')[out]"
    slide 1 "$graph"
}

measures() {
    local graph="$(page 'Three measures' "$moon")" at=0 x=140 starts=(2.3 3.4 4.5)
    local heads=('Electric buses' 'Clean heating' 'Dust kept on site')
    local lines=('All 640 city buses' 'Help for every home' 'Nets, mist and washing') more=('by 2028' 'that changes' 'at each gate')
    for at in 0 1 2; do
        graph+=",drawbox=x=$x:y=360:w=520:h=500:color=$white:t=fill:enable='gte(t\,${starts[$at]})'"
        graph+=",drawbox=x=$x:y=360:w=520:h=12:color=$amber:t=fill:enable='gte(t\,${starts[$at]})'"
        graph+=",$(text 150 "$teal" $((x + 44)) 400 "${starts[$at]}" "$bold" "$((at + 1))")"
        graph+=",$(text 54 "$ink" $((x + 44)) 610 "${starts[$at]}" "$bold" "${heads[$at]}")"
        graph+=",$(text 38 "$muted" $((x + 44)) 700 "${starts[$at]}" "$regular" "${lines[$at]}")"
        graph+=",$(text 38 "$muted" $((x + 44)) 756 "${starts[$at]}" "$regular" "${more[$at]}")"
        x=$((x + 560))
    done
    slide 2 "$graph[out]"
}

buses() {
    local bus="color=$teal:s=600x210:r=30" x
    for x in 40 150 260 370; do
        bus+=",drawbox=x=$x:y=38:w=90:h=76:color=0xE8F6F3:t=fill"
    done
    bus+=",drawbox=x=490:y=38:w=110:h=96:color=0xE8F6F3:t=fill,drawbox=x=0:y=156:w=600:h=12:color=$amber:t=fill"
    local graph="$(page 'Every bus electric by 2028' "$moon")"
    graph+=",drawbox=x=28:y=796:w=1892:h=6:color=$ink:t=fill,$(text 200 "$teal" 136 300 0.6 "$bold" '640')"
    graph+=",$(text 48 "$ink" 560 372 0.8 "$regular" 'buses without exhaust')"
    graph+=",$(text 48 "$ink" 560 444 1.0 "$regular" '14 new charging stations')[road];$bus[bus]"
    graph+=";[road][bus]overlay=x='-420+330*t':y='540+2*sin(9*t)':shortest=1"
    graph+=",$(disc 130 "$ink" "-350+330*t" 684),$(disc 130 "$ink" "10+330*t" 684)"
    graph+=",$(text 36 "$muted" 140 880 1.4 "$regular" 'Lines 1 to 12 change first, the outer districts follow in 2027')[out]"
    slide 3 "$graph"
}

heating() {
    local graph="$(page 'The city pays 60 % of your new heating')"
    graph+=",$(text 300 "$teal" 120 300 0.4 "$bold" '60 %')"
    graph+=",drawbox=x=140:y=760:w=1480:h=64:color=$mint:t=fill[h0]"
    graph+=";color=$amber:s=888x64:r=30[paid];color=$mint:s=888x64:r=30[open]"
    graph+=";[h0][paid]overlay=x=140:y=760:shortest=1[h1]"
    graph+=";[h1][open]overlay=x='140+888*(1-pow(1-clip((t-0.9)/1.4\,0\,1)\,3))':y=760:shortest=1[h2]"
    graph+=";color=$paper:s=300x64:r=30[side];[h2][side]overlay=x=1620:y=760:shortest=1"
    graph+=",$(text 40 "$ink" 150 850 1.2 "$regular" 'paid by the city'),$(text 40 "$muted" 1050 850 1.8 "$regular" 'paid by you')"
    graph+=",$(text 48 "$ink" 1000 410 1.0 "$regular" 'for heat pumps and')"
    graph+=",$(text 48 "$ink" 1000 482 1.2 "$regular" 'district heating')"
    graph+=",$(text 48 "$teal" 1000 572 2.6 "$bold" 'apply from 1 March')[out]"
    slide 4 "$graph"
}

slide 0 "$(cover 'Cleaner air by 2030' '2030年，让空气更清新' 'What the new plan means for you  ·  City of Riverside')[out]"
dust
measures
buses
heating
slide 5 "$(cover 'Have your say' '欢迎提出意见' 'Open for comment until 30 June  ·  riverside.example/air')[out]"

# The slides melt into each other; the voice of each begins when its slide has come in.
inputs=() video='' sound='' voices='' start=0 last='0:v'
for at in 0 1 2 3 4 5; do
    inputs+=(-i "$work/slide$at.mkv")
    delay=$(awk "BEGIN { printf \"%d\", ($start + 0.5) * 1000 }")
    sound+="flite=voice=slt:textfile=$work/words$at.txt,aresample=48000,adelay=$delay[s$at];"
    voices+="[s$at]"
    if [ "$at" -gt 0 ]; then
        video+="[$last][$at:v]xfade=transition=smoothleft:duration=$fade:offset=$start[x$at];"
        last=x$at
    fi
    start=$(awk "BEGIN { print $start + ${lengths[$at]} - $fade }")
done
total=$(awk "BEGIN { print $start + $fade }")
video+="color=$amber:s=1920x10:r=30:d=$total[line];[$last][line]overlay=x='-1920+1920*t/$total':y=1070,format=yuv420p[v]"
sound+="${voices}amix=inputs=6:normalize=0,highpass=f=80,loudnorm=I=-18:TP=-2:LRA=7,aresample=48000,apad=whole_dur=$total,atrim=duration=$total[a];"

ffmpeg -v error -y "${inputs[@]}" -filter_complex "$sound$video" -map '[v]' -map '[a]' -map_metadata -1 \
    -fflags +bitexact -flags:v +bitexact -flags:a +bitexact \
    -c:v libx264 -preset slow -crf 23 -g 120 -profile:v high -colorspace bt709 -color_primaries bt709 -color_trc bt709 \
    -c:a aac -b:a 96k -ac 2 -metadata:s:a:0 language=eng -movflags +faststart "$output"
