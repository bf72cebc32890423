#!/usr/bin/env bash
# testenv.sh: everything that the tests run against; what `make test` uses.
#
#   testenv.sh up            get all parts, start RabbitMQ 3.10, 4.0, 4.3 and Kafka with one and with three nodes;
#                            what was stopped or killed starts without its data
#   eval "$(testenv.sh env)" export the addresses of what is running
#   testenv.sh stop | rm     stop what `up` started; rm also removes its data and logs now
#   testenv.sh down          stop all that runs under the state folder, of tests and demo alike; parts and downloads stay
#   testenv.sh clean         down, and remove the state folder with all parts
#
# Control planes are started by the tests themselves, one for each test binary.
set -euo pipefail
# shellcheck source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

# step TEXT COMMAND...: run it and say how long it took.
step() {
  local text=$1 begin=$SECONDS
  shift
  "$@" >/dev/null
  say "$(printf '%-44s %4d s  (total %d s)' "$text" $((SECONDS - begin)) "$SECONDS")"
}

up() {
  local version kubernetes
  reap
  # One download at a time; the build of the control plane is the only heavy work for the processors, beside them.
  # A session of its own, so that it can be ended with all its compilers when another step fails.
  setsid "$HACK/controlplane.sh" get >/dev/null &
  kubernetes=$!
  # shellcheck disable=SC2064 # the number of now
  trap "kill -- -$kubernetes 2>/dev/null || true" EXIT
  step "Kafka $KAFKA_VERSION: jars" "$HACK/kafka.sh" get
  for version in $RABBITMQ_VERSIONS; do step "RabbitMQ $version: packages" "$HACK/rabbitmq.sh" get "$version"; done
  step "Kubernetes $KUBERNETES_VERSION: binaries" wait "$kubernetes"
  trap - EXIT
  for version in $RABBITMQ_VERSIONS; do step "RabbitMQ $version: start" start rabbitmq "test-$version" "$version" "test-$version"; done
  step "Kafka, one node: start" start kafka test-kafka test-kafka
  step "Kafka, three nodes: start" start kafka test-kafka3 test-kafka3 NODES=3
}

# start KIND NAME ARGUMENT...: `KIND.sh start ARGUMENT...`. A broker of which nothing runs begins anew: what a killed
# run left on it, a throttle for instance, would fail the tests of the next one.
start() { with_lock "up-$2" start_locked "$@"; }

start_locked() {
  local kind=$1 name=$2 file
  shift 2
  for file in "$RUN/$name"/pid "$RUN/$name"/*/pid; do
    if alive "$file"; then "$HACK/$kind.sh" start "$@"; return; fi
  done
  "$HACK/$kind.sh" rm "$name"
  "$HACK/$kind.sh" start "$@"
}

print_env() {
  local version dir
  for version in $RABBITMQ_VERSIONS; do
    dir=$RUN/test-$version
    alive "$dir/pid" || continue
    export_from "$dir/env" RABBITMQ_URL "WARRENER_TEST_RABBITMQ_${version//./_}"
    export_from "$dir/env" AMQP_URL "WARRENER_TEST_AMQP_${version//./_}"
  done
  ! alive "$RUN/test-kafka/1/pid" || export_from "$RUN/test-kafka/env" KAFKA_BOOTSTRAP WARRENER_TEST_KAFKA
  ! alive "$RUN/test-kafka3/1/pid" || export_from "$RUN/test-kafka3/env" KAFKA_BOOTSTRAP WARRENER_TEST_KAFKA3
  dir=$PARTS/controlplane-${KUBERNETES_VERSION#v}-etcd-${ETCD_VERSION#v}
  [ ! -d "$dir" ] || printf 'export KUBEBUILDER_ASSETS=%q\n' "$dir"
  printf 'export WARRENER_HACK=%q\n' "$HACK"
}

export_from() { printf 'export %s=%q\n' "$3" "$(sed -n "s/^$2=//p" "$1")"; }

# kind_of DIR: which script an instance belongs to.
kind_of() {
  if [ -e "$1/rabbitmq.conf" ]; then echo rabbitmq; elif [ -e "$1/cluster-id" ]; then echo kafka; else echo controlplane; fi
}

# reap: remove the instances of test processes that ended without doing so.
reap() {
  local owner dir pid begin
  for owner in "$RUN"/*/owner; do
    [ -e "$owner" ] || continue
    read -r pid begin <"$owner"
    [ "$(started_at "$pid")" != "$begin" ] || continue
    dir=${owner%/owner}
    say "removing $(basename "$dir"), left by a test that was killed"
    "$HACK/$(kind_of "$dir").sh" rm "$(basename "$dir")"
  done
}

# end VERB: stop or rm the brokers that all tests share.
end() {
  local version name
  reap
  for version in $RABBITMQ_VERSIONS; do
    [ ! -d "$RUN/test-$version" ] || "$HACK/rabbitmq.sh" "$1" "test-$version"
  done
  for name in test-kafka test-kafka3; do
    [ ! -d "$RUN/$name" ] || "$HACK/kafka.sh" "$1" "$name"
  done
}

down() {
  local dir
  [ ! -d "$RUN/demo" ] || "$HACK/demo.sh" down
  for dir in "$RUN"/*/; do
    [ -d "$dir" ] || continue
    if [ -e "$dir/owner" ]; then
      "$HACK/$(kind_of "$dir").sh" rm "$(basename "$dir")"
    else
      "$HACK/$(kind_of "$dir").sh" stop "$(basename "$dir")"
    fi
    say "stopped $(basename "$dir")"
  done
}

case ${1:-} in
  up) up ;;
  env) print_env ;;
  stop | rm) end "$1" ;;
  down) down ;;
  clean) down; run_as_root rm -rf --one-file-system "$STATE" ;;
  *) sed -n '2,11s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
