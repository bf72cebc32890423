#!/usr/bin/env bash
# test.sh [PACKAGE...]: vet and test, in an environment that with-testenv.sh has set up; all packages by default.
#
# No test is skipped for want of a broker: that is a failure here. WARRENER_LONG=1 runs the full soak versions.
# TESTFLAGS are passed on to `go test`, such as TESTFLAGS='-run TestName -count 1'.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export WARRENER_REQUIRE_PARTS=1
timeout=40m # for each package: test/e2e takes a third of it, and twice that on a busy machine
tags=
if [ -n "${WARRENER_LONG:-}" ]; then
  timeout=5h
  tags=long # tests of which there is no short form
fi
[ $# -gt 0 ] || set -- ./...
summary=$(mktemp -d)
trap 'rm -rf "$summary"' EXIT
go build -o "$summary/testsum" ./hack/testsum
go vet -tags long "$@"
# Two packages at a time, and four tests of each that may run at the same time, whatever the processors: much of what they do
# is wait for brokers.
# shellcheck disable=SC2086 # TESTFLAGS are several words
go test -json -tags "$tags" -p 2 -parallel 4 -timeout "$timeout" ${TESTFLAGS:-} "$@" | "$summary/testsum"
