#!/usr/bin/env bash
# with-testenv.sh COMMAND...: run a command with all brokers up and their addresses in the environment (testenv.sh).
#
# Brokers that this script started end with it, or with the last of several that run at the same time (of other
# checkouts, too). KEEP=1 leaves them; so does having started them before with `testenv.sh up`. In CI they always end.
# WARRENER_STATE names another state folder, for brokers of one's own.
set -euo pipefail
# shellcheck source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

LOCK=$STATE/locks/testenv      # shared by whoever uses the brokers
STARTED=$RUN/.started-by-tests # exists while the brokers are ours to end

any_alive() {
  local file
  for file in "$RUN"/test-*/pid "$RUN"/test-*/*/pid; do ! alive "$file" || return 0; done
  return 1
}

finish() {
  local status=$1 verb=rm
  trap - EXIT
  [ "$status" = 0 ] || verb=stop # the logs may be wanted
  if [ -n "${KEEP:-}" ] && [ -z "${CI:-}" ]; then
    rm -f "$STARTED"
    say "the brokers keep running: make test-env-down ends them"
  elif [ ! -e "$STARTED" ]; then
    say "the brokers were running before, and still are: make test-env-down ends them"
  elif flock --exclusive --nonblock --close --conflict-exit-code 75 "$LOCK" "$HACK/testenv.sh" "$verb"; then
    rm -f "$STARTED"
  else
    say "the brokers keep running: another test run uses them, and will end them"
  fi
  exit "$status"
}

[ $# -gt 0 ] || { sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2; }
if [ "${1:-}" = --locked ]; then
  shift
  "$HACK/testenv.sh" up
  environment=$("$HACK/testenv.sh" env)
  eval "$environment"
  exec "$@"
fi

mkdir -p "$RUN" "$(dirname "$LOCK")"
any_alive || touch "$STARTED"
trap 'finish $?' EXIT
trap 'exit 130' INT TERM
flock --shared --close "$LOCK" "$0" --locked "$@"
