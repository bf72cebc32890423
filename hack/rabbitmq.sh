#!/usr/bin/env bash
# rabbitmq.sh: a RabbitMQ broker of a chosen series on loopback, without a container engine.
#
#   rabbitmq.sh get VERSION           install 3.10, 4.0 or 4.3 into a folder of its own (a Debian chroot)
#   rabbitmq.sh start VERSION NAME    start a node; prints its addresses when the management API answers.
#                                     A name that ran before keeps its ports and data
#   rabbitmq.sh stop NAME [--kill]    stop it, with --kill by SIGKILL; the data is kept
#   rabbitmq.sh rm NAME               stop it and remove its data
#   rabbitmq.sh ctl NAME COMMAND...   rabbitmqctl inside the node
#
# TLS=1 adds TLS listeners with an authority and certificates of their own (run/NAME/tls);
# TLS_VERIFY=1 also demands a client certificate. Root or sudo is needed: for debootstrap, chroot and mounts.
# Each node runs in its own mount and process namespace: nothing is left mounted or running after a stop.
set -euo pipefail
# shellcheck source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
# shellcheck source=lib/debian.sh
source "$HACK/lib/debian.sh"
# shellcheck source=lib/tls.sh
source "$HACK/lib/tls.sh"

suite_of() {
  local name=RABBITMQ_SUITE_${1//./_}
  [ -n "${!name:-}" ] || die "RabbitMQ '$1': there are $RABBITMQ_VERSIONS"
  echo "${!name}"
}

get() {
  suite=$(suite_of "$1")
  make_part "rabbitmq-$1" get_chroot
}

get_chroot() {
  debootstrap_suite "$suite" "$1" rabbitmq-server
  echo "127.0.0.1 localhost" | run_as_root tee "$1/etc/hosts"
  test -x "$1/usr/lib/rabbitmq/bin/rabbitmq-server"
}

start() {
  local version=$1 name=$2 dir
  get "$version"
  dir=$(instance_dir "$name")
  ports "$dir" AMQP MANAGEMENT DIST EPMD AMQPS MANAGEMENT_TLS
  with_lock "run-$name" start_locked "$version" "$name" "$dir"
  cat "$dir/env"
}

start_locked() {
  local version=$1 name=$2 dir=$3 AMQP MANAGEMENT DIST EPMD AMQPS MANAGEMENT_TLS
  # shellcheck source=/dev/null
  source "$dir/ports"
  alive "$dir/pid" || {
    mkdir -p "$dir/data" "$dir/log" "$dir/tmp"
    [ -z "${TLS:-}${TLS_VERIFY:-}" ] || make_tls "$dir/tls" 2>"$dir/tls.log" || die "could not make certificates" "$dir/tls.log"
    [ -z "${TLS_VERIFY:-}" ] || touch "$dir/tls/verify" # for later starts
    write_config "$dir"
    write_env "$version" "$name" "$dir"
    spawn_as_root "$dir/pid" "$dir/log/console.log" \
      unshare --mount --pid --fork --kill-child "$HACK/lib/rabbitmq-node.sh" \
      "$PARTS/rabbitmq-$version" "$dir" "$(id -u):$(id -g)" "${name//./_}" "$DIST" "$EPMD"
  }
  wait_until 90 "$dir/pid" "RabbitMQ $version ($name)" "$dir/log/console.log" \
    curl -fsS --max-time 5 -u guest:guest "http://127.0.0.1:$MANAGEMENT/api/health/checks/port-listener/$AMQP"
}

write_config() {
  cat >"$1/rabbitmq.conf" <<CONF
listeners.tcp.1 = 127.0.0.1:$AMQP
management.tcp.ip = 127.0.0.1
management.tcp.port = $MANAGEMENT
disk_free_limit.absolute = 50MB
vm_memory_high_watermark.absolute = 1GB
log.console = false
log.file = rabbit.log
CONF
  echo "[rabbitmq_management,rabbitmq_shovel,rabbitmq_shovel_management]." >"$1/enabled_plugins"
  [ -d "$1/tls" ] || return 0
  local options verify=verify_none demand=false
  [ ! -e "$1/tls/verify" ] || verify=verify_peer demand=true
  echo "listeners.ssl.1 = 127.0.0.1:$AMQPS" >>"$1/rabbitmq.conf"
  for options in ssl_options management.ssl; do
    cat >>"$1/rabbitmq.conf" <<CONF
$options.cacertfile = /srv/tls/ca.crt
$options.certfile = /srv/tls/server.crt
$options.keyfile = /srv/tls/server.key
$options.verify = $verify
$options.fail_if_no_peer_cert = $demand
CONF
  done
  printf 'management.ssl.ip = 127.0.0.1\nmanagement.ssl.port = %s\n' "$MANAGEMENT_TLS" >>"$1/rabbitmq.conf"
}

write_env() {
  {
    echo "RABBITMQ_VERSION=$1"
    echo "RABBITMQ_URL=http://127.0.0.1:$MANAGEMENT"
    echo "AMQP_URL=amqp://guest:guest@127.0.0.1:$AMQP"
    echo "RABBITMQ_USER=guest"
    echo "RABBITMQ_PASSWORD=guest"
    if [ -d "$3/tls" ]; then
      echo "RABBITMQ_TLS_URL=https://127.0.0.1:$MANAGEMENT_TLS"
      echo "AMQPS_URL=amqps://guest:guest@127.0.0.1:$AMQPS"
      echo "TLS_DIR=$3/tls"
    fi
  } >"$3/env"
}

# The Erlang VM answers SIGTERM with an orderly stop; with its process namespace end all its helpers.
stop() {
  local dir pid beam i
  dir=$(instance_dir "$1")
  alive "$dir/pid" || return 0
  read -r pid _ <"$dir/pid"
  beam=$(descendant "$pid" beam.smp)
  if [ "${2:-}" != --kill ]; then
    [ -z "$beam" ] || run_as_root kill -TERM "$beam" 2>/dev/null || true
    wait_gone "$dir/pid" 20 || say "$1 did not stop in 20 s, killing it"
  fi
  stop_process "$dir/pid" 10 KILL
  # The namespace ends a moment later than its parent, and with it the listeners.
  for i in $(seq 100); do
    [ -n "$beam" ] && [ -d "/proc/$beam" ] || return 0
    sleep 0.05
  done
  die "process $beam of $1 is still there after $i tries" "$dir/log/console.log"
}

ctl() {
  local dir pid beam DIST EPMD
  dir=$(instance_dir "$1")
  alive "$dir/pid" || die "$1 is not running"
  # shellcheck source=/dev/null
  source "$dir/ports"
  read -r pid _ <"$dir/pid"
  beam=$(descendant "$pid" beam.smp)
  shift
  run_as_root nsenter --target "$beam" --mount --pid --root --wd env -i HOME=/srv LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    ERL_EPMD_PORT="$EPMD" RABBITMQ_CONF_ENV_FILE=/dev/null RABBITMQ_NODENAME="$(basename "${dir//./_}")@localhost" \
    /usr/lib/rabbitmq/bin/rabbitmqctl "$@"
}

usage() { sed -n '2,14s/^# \{0,1\}//p' "$0" >&2; exit 2; }

case ${1:-}:$# in
  get:2) get "$2" ;;
  start:3) start "$2" "$3" ;;
  stop:[23]) stop "$2" "${3:-}" ;;
  rm:2) stop "$2"; run_as_root rm -rf --one-file-system "$(instance_dir "$2")" ;;
  ctl:*) [ $# -ge 3 ] || usage; shift; ctl "$@" ;;
  *) usage ;;
esac
