#!/usr/bin/env bash
# chromium.sh: print where a Chromium or Chrome is, for the test of the page of `warrener graph`. If there is none, it comes
# from Debian's packages.
set -euo pipefail
# shellcheck source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

find_browser() {
  local name
  for name in chromium chromium-browser google-chrome google-chrome-stable; do
    command -v "$name" && return
  done
  return 1
}

install_chromium() {
  find_browser >/dev/null && return # another process installed it while we waited
  local log=$STATE/chromium.log
  say "install chromium (log: $log)"
  run_as_root apt-get install -y --no-install-recommends chromium >"$log" 2>&1 ||
    { run_as_root apt-get update && run_as_root apt-get install -y --no-install-recommends chromium; } >"$log" 2>&1 ||
    die "could not install chromium" "$log"
}

if ! find_browser; then
  command -v apt-get >/dev/null || die "there is no Chromium and no Chrome: install one of them"
  with_lock chromium install_chromium
  find_browser || die "chromium is installed and not on the path"
fi
