#!/usr/bin/env bash
# with-testenv.sh COMMAND...: run a command with all brokers up and their addresses in the environment (testenv.sh).
# with-testenv.sh --end: end brokers that a killed run has left behind.
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

# end_brokers VERB: stop or rm them, if they are ours to end and nobody else uses them.
end_brokers() {
  local status=0
  if [ ! -e "$STARTED" ]; then
    ! any_alive || say "the brokers were running before, and still are: make test-env-down ends them"
    return
  fi
  flock --exclusive --nonblock --close --conflict-exit-code 75 "$LOCK" "$HACK/testenv.sh" "$1" || status=$?
  case $status in
    0) rm -f "$STARTED" ;;
    75) say "the brokers keep running: another test run uses them, and will end them" ;;
    *) die "could not end the brokers: hack/testenv.sh $1 failed" ;;
  esac
}

finish() {
  local status=$1 verb=rm
  trap - EXIT
  [ "$status" = 0 ] || verb=stop # the logs may be wanted
  if [ -n "${KEEP:-}" ] && [ -z "${CI:-}" ]; then
    rm -f "$STARTED"
    say "the brokers keep running: make test-env-down ends them"
  else
    end_brokers "$verb"
  fi
  exit "$status"
}

[ $# -gt 0 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
mkdir -p "$RUN" "$(dirname "$LOCK")"
if [ "$1" = --end ]; then
  end_brokers stop
  exit
fi
if [ "$1" = --locked ]; then
  shift
  "$HACK/testenv.sh" up
  environment=$("$HACK/testenv.sh" env)
  eval "$environment"
  exec "$@"
fi

any_alive || touch "$STARTED"
trap 'finish $?' EXIT
trap 'exit 130' INT TERM
flock --shared --close "$LOCK" "$0" --locked "$@"
