#!/usr/bin/env bash
# dagre.sh: bring the layout library of `warrener graph` up to the version in versions.env. It is committed as it is, with its
# licence (internal/graph/assets/dagre), so that no build and no test needs npm; a test compares it with the checksum.
set -euo pipefail
# shellcheck source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

need npm "install npm, which comes with Node"
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
(cd "$WORK" && npm pack --silent "@dagrejs/dagre@$DAGRE_VERSION" >/dev/null && tar -xzf ./*.tgz)
sum=$(sha256sum <"$WORK/package/dist/dagre.min.js" | cut -d' ' -f1)
[ "$sum" = "$DAGRE_SHA256" ] || die "dagre.min.js $DAGRE_VERSION has the checksum $sum: if you trust it, write it into versions.env"
cp "$WORK/package/dist/dagre.min.js" "$WORK/package/LICENSE" "$HACK/../internal/graph/assets/dagre/"
say "dagre $DAGRE_VERSION; see with git diff what has changed in the pictures after: go test ./internal/graph -update"
