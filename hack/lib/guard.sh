#!/usr/bin/env bash
# guard.sh SCRIPT NAME PID: remove the instance NAME of hack/SCRIPT when the process PID has ended.
# The test harness starts one beside each private instance, so that a killed test leaves nothing running.
set -euo pipefail
script=$1 name=$2 pid=$3
# shellcheck source=common.sh source=hack/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
begin=$(started_at "$pid") || true
while [ -n "$begin" ] && [ "$(started_at "$pid")" = "$begin" ]; do
  [ -d "$RUN/$name" ] || exit 0
  sleep 1
done
[ ! -d "$RUN/$name" ] || "$HACK/$script" rm "$name"
