#!/usr/bin/env bash
# Installs the Debian packages that are missing: `build` for what building and running needs, `test` for the tests,
# `bench` for what benchmarks compare with, `obs` for the encoder most agencies use.
set -euo pipefail

build=(
    libavcodec-dev libavformat-dev libavutil-dev libavfilter-dev libswscale-dev libswresample-dev
    libsrt-gnutls-dev
    clang libclang-dev pkg-config gcc libc6-dev make ca-certificates
)
test=(ffmpeg srt-tools curl postgresql fontconfig fonts-noto-cjk python3-venv)
bench=(nginx libnginx-mod-rtmp)
obs=(obs-studio xvfb libgl1-mesa-dri)

installed() {
    dpkg-query -W -f '${Status}\n' "$1" 2>/dev/null | grep -q ' installed$'
}

# Node and Chromium often come from elsewhere than Debian's packages.
node_is_recent() {
    command -v npm >/dev/null && node -e 'process.exit(process.versions.node.split(".")[0] >= 18 ? 0 : 1)' 2>/dev/null
}

wanted() {
    local group
    for group in "$@"; do
        case $group in
            build) printf '%s\n' "${build[@]}" ;;
            test)
                printf '%s\n' "${test[@]}"
                command -v chromium >/dev/null || echo chromium
                node_is_recent || printf '%s\n' nodejs npm
                ;;
            bench) printf '%s\n' "${bench[@]}" ;;
            obs) printf '%s\n' "${obs[@]}" ;;
            *) echo "setup.sh: $group is neither build nor test nor bench nor obs" >&2; exit 2 ;;
        esac
    done
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

install_packages() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"
}

# The tests start a PostgreSQL of their own; nobody asked for the one Debian would make and keep running.
without_a_cluster() {
    installed postgresql-common && return
    install_packages postgresql-common
    as_root sed -ri 's/^#?(create_main_cluster) .*$/\1 = false/' /etc/postgresql-common/createcluster.conf
}

# The benchmark starts an nginx of its own; nobody asked for the one Debian would start, now and at every boot.
without_a_web_server() {
    installed nginx && return
    local policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
        printf '#!/bin/sh\nexit 101\n' | as_root install -m 755 /dev/stdin "$policy"
    fi
    install_packages nginx
    as_root update-rc.d nginx disable
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "This is not Debian; these packages, by Debian's names, are needed:" $(wanted "$@") >&2
    exit 0
fi

missing=()
for package in $(wanted "$@"); do
    installed "$package" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
    echo "These Debian packages are missing, and installing them needs root or sudo: ${missing[*]}" >&2
    exit 1
fi

echo "Installing the Debian packages that are missing: ${missing[*]}"
as_root apt-get update -q
[[ " ${missing[*]} " != *" postgresql "* ]] || without_a_cluster
[[ " ${missing[*]} " != *" nginx "* ]] || without_a_web_server
install_packages "${missing[@]}"
