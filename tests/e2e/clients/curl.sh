#!/usr/bin/env bash
# curl.sh BASE KEY VIDEO FILE [--log FILE] [--die-after BYTES | --resume URL]
# Without options one PUT; with --log a tus upload by hand, which logs each offset it sends from and each acknowledged.
set -euo pipefail

base=$1 key=$2 video=$3 file=$4 log='' die='' url=''
shift 4
while [ $# -gt 0 ]; do
    case $1 in
        --log) log=$2 ;;
        --die-after) die=$2 ;;
        --resume) url=$2 ;;
        *) echo "curl.sh: what is $1?" >&2; exit 2 ;;
    esac
    shift 2
done
auth=(-H "Authorization: Bearer $key")
tus=("${auth[@]}" -H 'Tus-Resumable: 1.0.0')

note() {
    printf '%s\n' "$1" >>"$log"
}

header() {
    tr -d '\r' | awk -F ': ' -v name="$1" 'tolower($1) == name { print $2 }'
}

if [ -z "$log" ]; then
    curl -fsS "${auth[@]}" -T "$file" "$base/api/v1/videos/$video/source"
    exit
fi

size=$(stat -c %s "$file")
if [ -z "$url" ]; then
    metadata="filename $(printf %s "${file##*/}" | base64 -w0),video $(printf %s "$video" | base64 -w0)"
    url=$(curl -fsS -D - -o /dev/null -X POST "${tus[@]}" -H "Upload-Length: $size" -H "Upload-Metadata: $metadata" \
        "$base/api/v1/uploads" | header location)
    note "{\"event\":\"url\",\"url\":\"$url\"}"
fi

offset=$(curl -fsS -I "${tus[@]}" "$url" | header upload-offset)
note "{\"event\":\"ack\",\"offset\":$offset}"
note "{\"event\":\"send\",\"offset\":$offset}"
patch=(curl -fsS -X PATCH "${tus[@]}" -H "Upload-Offset: $offset" -H 'Content-Type: application/offset+octet-stream')
if [ -n "$die" ]; then
    # It promises the whole rest, sends this much, and is cut off.
    "${patch[@]}" -H "Content-Length: $((size - offset))" -H 'Transfer-Encoding:' -T - "$url" \
        < <(tail -c +$((offset + 1)) "$file" | head -c "$die"; exec sleep 4) >/dev/null &
    sleep 3
    kill -9 $!
    kill -9 $$
fi
offset=$(tail -c +$((offset + 1)) "$file" | "${patch[@]}" -D - -o /dev/null --data-binary @- "$url" | header upload-offset)
note "{\"event\":\"ack\",\"offset\":$offset}"
note '{"event":"done"}'
