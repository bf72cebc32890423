#!/usr/bin/env bash
# tools.sh: the Go programs that the Makefile uses, built from hack/tools/go.mod, which pins them with checksums.
#
#   tools.sh NAME      build controller-gen or golangci-lint unless that is done, and print where it is
set -euo pipefail
# shellcheck source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

build() {
  need go "install Go 1.26"
  cd "$HACK/tools"
  CGO_ENABLED=0 GOFLAGS='' GOWORK=off nice -n 10 go build -trimpath -ldflags '-s -w' -o "$1/" "$package"
}

[ $# = 1 ] || { sed -n '2,4s/^# \{0,1\}//p' "$0" >&2; exit 2; }
name=$1
package=$(sed -n "s|^\t\([a-z].*/cmd/$name\)\$|\1|p" "$HACK/tools/go.mod")
[ -n "$package" ] || die "hack/tools/go.mod has no tool '$name'"
# A checkout with another hack/tools/go.mod has a part of its own.
part=$name-$(sha256sum <"$HACK/tools/go.mod" | cut -c1-12)
make_part "$part" build
echo "$PARTS/$part/$name"
