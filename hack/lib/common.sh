# shellcheck shell=bash
# shellcheck disable=SC2094 # a lock file is not read
# common.sh: what every script of hack/ shares: the pinned versions, the state folder, messages, locks,
# free ports, and starting and stopping background processes. To be sourced.
#
# The state folder is ${WARRENER_STATE:-${XDG_CACHE_HOME:-$HOME/.cache}/warrener}:
#   parts/<name>-<version>/  what was downloaded or built; complete once it exists; shared by checkouts
#   run/<instance>/          one running thing: ports, pid, data, logs, and `env` with its addresses

shopt -s inherit_errexit
HACK=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=versions.env source=hack/versions.env
source "$HACK/versions.env"

STATE=${WARRENER_STATE:-${XDG_CACHE_HOME:-$HOME/.cache}/warrener}
PARTS=$STATE/parts
RUN=$STATE/run

say() { printf '%s\n' "$*" >&2; }

# die MESSAGE [LOG]: end with a message, and with the last lines of the log that explains it.
die() {
  say "ERROR: $(basename "$0"): $1"
  if [ -n "${2:-}" ] && [ -s "$2" ]; then
    say "--- last lines of $2"
    tail -n 25 "$2" >&2
    say "--- end of $2"
  fi
  exit 1
}

# Root is needed for chroots only; `run_as_root` uses sudo when the caller is not root.
run_as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; return; fi
  command -v sudo >/dev/null || die "needs root for: $*; run as root or install sudo"
  sudo -n true 2>/dev/null || say "sudo is needed for: $1"
  sudo "$@"
}

# need COMMAND HINT: end with the hint when the command is missing.
need() { command -v "$1" >/dev/null || die "$1 is missing: $2"; }

# with_lock NAME COMMAND...: run the command (in a subshell) while nobody else holds the lock.
# The lock's descriptor is closed for daemons by `spawn`.
with_lock() {
  local lock=$STATE/locks/$1
  shift
  mkdir -p "$STATE/locks"
  (
    if ! flock -w 3 9; then
      say "waiting for another process that works on $(basename "$lock")"
      flock -w 1800 9 || die "$lock is held for more than 30 minutes"
    fi
    "$@"
  ) 9>"$lock"
}

# make_part NAME FUNCTION: unless parts/NAME exists, run `FUNCTION DIR` with an empty directory and move
# that to parts/NAME when it succeeded. Prints nothing; the log is parts/NAME.log.
make_part() {
  [ -e "$PARTS/$1" ] && return
  mkdir -p "$PARTS"
  with_lock "part-$1" make_part_locked "$@"
}

make_part_locked() {
  local name=$1 make=$2 status=0 log=$PARTS/$1.log tmp=$PARTS/.tmp-$1 begin=$SECONDS
  [ -e "$PARTS/$name" ] && return # another process made it while we waited for the lock
  [ -e "$tmp" ] && run_as_root rm -rf --one-file-system "$tmp"
  mkdir -p "$tmp"
  say "get $name (log: $log)"
  # Not in a condition: there `set -e` would be off in the function.
  set +e
  (set -e; "$make" "$tmp") >"$log" 2>&1 9>&-
  status=$?
  set -e
  [ "$status" = 0 ] || die "could not get $name" "$log"
  mv "$tmp" "$PARTS/$name"
  say "got $name in $((SECONDS - begin)) s"
}

# instance_dir NAME: the folder of an instance; refuses names that are no plain words.
instance_dir() {
  [[ $1 =~ ^[a-z0-9][a-z0-9._-]{0,60}$ ]] || die "instance name '$1': use lower-case letters, digits, dot and dash"
  printf '%s/%s\n' "$RUN" "$1"
}

# ports DIR NAME...: DIR/ports holds NAME=port for every name; a port once chosen is kept, so that a restart
# is found under the same address. Ports are below the range that the kernel hands out to clients, and below
# that of test/harness, whose processes may not listen yet.
ports() { with_lock ports ports_locked "$@"; }

ports_locked() {
  local dir=$1 name port
  shift
  mkdir -p "$dir"
  touch "$dir/ports"
  # An instance of a test ends with the test's process at the latest: see reap in testenv.sh.
  [ -z "${WARRENER_OWNER_PID:-}" ] || echo "$WARRENER_OWNER_PID $(started_at "$WARRENER_OWNER_PID")" >"$dir/owner"
  for name; do
    grep -q "^$name=" "$dir/ports" && continue
    while :; do
      port=$((20000 + RANDOM % 8000))
      grep -qs "=$port\$" "$RUN"/*/ports && continue
      port_in_use "$port" || break
    done
    echo "$name=$port" >>"$dir/ports"
  done
}

# port_in_use PORT: is somebody listening there, on any address?
port_in_use() {
  local hex
  hex=$(printf ':%04X' "$1")
  awk -v p="$hex" '$4 == "0A" && index($2, p) {found = 1} END {exit !found}' /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

# started_at PID: the kernel's start time of a process, to tell it from a later one with the same number.
started_at() { sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

# alive PIDFILE: does the process still run that `spawn` recorded there?
alive() {
  local pid begin
  [ -s "$1" ] || return 1
  read -r pid begin <"$1"
  [ -n "$begin" ] && [ "$(started_at "$pid")" = "$begin" ] &&
    [ "$(sed 's/^.*) //' "/proc/$pid/stat" 2>/dev/null | cut -c1)" != Z ]
}

# spawn PIDFILE LOG COMMAND...: start a daemon of its own session that holds neither our output nor our locks.
spawn() { spawn_with "" "$@"; }
spawn_as_root() { spawn_with run_as_root "$@"; }

spawn_with() {
  local root=$1 pidfile=$2 log=$3
  shift 3
  rm -f "$pidfile" "$pidfile.tmp"
  touch "$log"
  # shellcheck disable=SC2016 # expanded by the child
  $root setsid bash -c '
    pidfile=$1; shift
    echo "$$ $(sed "s/^.*) //" /proc/$$/stat | cut -d" " -f20)" >"$pidfile.tmp"
    mv "$pidfile.tmp" "$pidfile"
    exec "$@"' spawn "$pidfile" "$@" </dev/null >>"$log" 2>&1 9>&- &
  local i
  for i in $(seq 100); do
    [ -s "$pidfile" ] && return
    sleep 0.05
  done
  die "could not start $1 ($i tries)" "$log"
}

# stop_process PIDFILE SECONDS [SIGNAL]: ask it to end, wait, then kill it.
stop_process() {
  local pidfile=$1 patience=$2 signal=${3:-TERM} pid root=
  if alive "$pidfile"; then
    read -r pid _ <"$pidfile"
    [ -O "/proc/$pid" ] || root=run_as_root
    $root kill "-$signal" "$pid" 2>/dev/null || true
    wait_gone "$pidfile" "$patience" || { $root kill -KILL "$pid" 2>/dev/null || true; wait_gone "$pidfile" 10; }
  fi
  rm -f "$pidfile" 2>/dev/null || run_as_root rm -f "$pidfile"
}

wait_gone() {
  local end=$((SECONDS + $2))
  while alive "$1"; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.1
  done
}

# wait_until SECONDS PIDFILE WHAT LOG COMMAND...: poll until the command succeeds; end with the log when the
# process dies or time is up.
wait_until() {
  local patience=$1 pidfile=$2 what=$3 log=$4 end
  shift 4
  end=$((SECONDS + patience))
  until "$@" >/dev/null 2>&1; do
    alive "$pidfile" || die "$what ended before it was ready" "$log"
    [ "$SECONDS" -lt "$end" ] || die "$what is not ready after $patience s" "$log"
    sleep 0.2
  done
}
