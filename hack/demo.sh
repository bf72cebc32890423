#!/usr/bin/env bash
# demo.sh: a control plane, RabbitMQ, Kafka and Warrener on this machine, and proof that messages go where they should.
#
#   demo.sh up      run the demo; what it started ends with it, with KEEP=1 it stays. FAKE_KAFKA=1: an in-memory Kafka
#   demo.sh down    end what KEEP=1 left running, and remove its data
#
# The brokers run from Debian packages and Maven artifacts, or in Docker where those cannot be had. Everything listens on
# loopback, on free ports, and lives in the state folder: ${WARRENER_STATE:-~/.cache/warrener}.
set -euo pipefail
# shellcheck source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
# shellcheck source=lib/steps.sh
source "$HACK/lib/steps.sh"

SERIES=4.0
KINDS="rabbitmqconnections kafkaconnections virtualhosts exchanges queues exchangebindings topics"
REPOSITORY=$(dirname "$HACK")
DIR=$RUN/demo        # control plane and controller
ADMIN=$DIR/kubeconfig
LOG=$DIR/controller.log
PASSWORD=guest       # of the Secret in config/samples
COMPOSE=(docker compose -f "$HACK/compose.yaml" -p warrener-demo)

up() {
  exec 2>&1 # tables and progress in one order
  steps 8
  choose_parts
  trap 'status=$?; stop_together; finish $status' EXIT
  trap 'exit 130' INT TERM
  alive "$DIR/apiserver.pid" || remove # what did not end in good order begins anew; what KEEP=1 left goes on
  step "get Kubernetes $KUBERNETES_VERSION, RabbitMQ $SERIES and Kafka $KAFKA_VERSION (minutes on the first run, then nothing)"
  together "$HACK/controlplane.sh get" get_rabbitmq get_kafka
  kubectl=$("$HACK/controlplane.sh" get)/kubectl
  step "build the controller and the clients"
  build
  step "start them on loopback"
  start_brokers
  step "install the CRDs and start the controller with the rights of config/rbac and no more"
  start_controller
  step "kubectl apply -k config/samples, with the brokers' addresses"
  apply_samples
  step "wait until all of it is Ready"
  wait_ready
  step "kubectl get warrener -A"
  admin get warrener -A
  step "send messages through it"
  prove
}

# choose_parts decides where the brokers come from.
choose_parts() {
  need go "install Go 1.26"
  need openssl "install openssl"
  need curl "install curl"
  local why="NO JDK WITH MAVEN AND NO DOCKER"
  FROM_RABBITMQ=debian FROM_KAFKA=jars
  [ -d "$PARTS/rabbitmq-$SERIES" ] || command -v apt-get >/dev/null || FROM_RABBITMQ=docker
  command -v java >/dev/null && { [ -d "$PARTS/kafka-$KAFKA_VERSION" ] || command -v mvn >/dev/null; } || FROM_KAFKA=docker
  [ -z "${FAKE_KAFKA:-}" ] || FROM_KAFKA=memory why="FAKE_KAFKA IS SET"
  has_docker || {
    [ "$FROM_RABBITMQ" = debian ] || die "RabbitMQ needs Debian (apt-get) or Docker, and neither is here"
    [ "$FROM_KAFKA" = jars ] || FROM_KAFKA=memory
  }
  [ "$FROM_KAFKA" != memory ] || say "
$why: THIS DEMO USES AN IN-MEMORY IMITATION OF KAFKA.
IT SHOWS HOW WARRENER IS USED. IT PROVES NOTHING ABOUT APACHE KAFKA.
"
}

has_docker() { command -v docker >/dev/null && docker compose version >/dev/null 2>&1 && docker info >/dev/null 2>&1; }

get_rabbitmq() { [ "$FROM_RABBITMQ" != debian ] || "$HACK/rabbitmq.sh" get "$SERIES"; }
get_kafka() { [ "$FROM_KAFKA" != jars ] || "$HACK/kafka.sh" get; }

build() {
  mkdir -p "$DIR/bin"
  cd "$REPOSITORY"
  go build -o "$DIR/bin/" ./cmd/warrener-controller ./hack/demo
  [ "$FROM_KAFKA" != memory ] || go build -o "$DIR/bin/" ./hack/demo/fakekafka
}

start_brokers() {
  ports "$DIR" METRICS PROBES FAKE_KAFKA_PORT
  # shellcheck source=/dev/null
  source "$DIR/ports"
  together "$HACK/controlplane.sh start demo" start_rabbitmq start_kafka
  # shellcheck source=/dev/null
  source "$DIR/rabbitmq.env"
  # shellcheck source=/dev/null
  source "$DIR/kafka.env"
  note "Kubernetes  $(admin config view --minify --output jsonpath='{.clusters[0].cluster.server}')"
  note "RabbitMQ    $RABBITMQ_URL (management), ${AMQP_URL##*@} (AMQP)"
  note "Kafka       $KAFKA_BOOTSTRAP"
}

start_rabbitmq() {
  case $FROM_RABBITMQ in
    debian) "$HACK/rabbitmq.sh" start "$SERIES" demo-rabbitmq >"$DIR/rabbitmq.env" ;;
    docker)
      touch "$DIR/docker"
      "${COMPOSE[@]}" up --wait --quiet-pull "rabbitmq-${SERIES/./-}"
      printf 'RABBITMQ_URL=http://127.0.0.1:15640\nAMQP_URL=amqp://guest:guest@127.0.0.1:5640\n' >"$DIR/rabbitmq.env"
      ;;
  esac
}

start_kafka() {
  case $FROM_KAFKA in
    jars) "$HACK/kafka.sh" start demo-kafka >"$DIR/kafka.env" ;;
    docker)
      touch "$DIR/docker"
      "${COMPOSE[@]}" up --wait --quiet-pull kafka
      echo 'KAFKA_BOOTSTRAP=127.0.0.1:9092' >"$DIR/kafka.env"
      ;;
    memory)
      alive "$DIR/fakekafka.pid" || spawn "$DIR/fakekafka.pid" "$DIR/fakekafka.log" "$DIR/bin/fakekafka" "$FAKE_KAFKA_PORT"
      echo "KAFKA_BOOTSTRAP=127.0.0.1:$FAKE_KAFKA_PORT" >"$DIR/kafka.env"
      ;;
  esac
}

admin() { "$kubectl" --kubeconfig "$ADMIN" "$@"; }

start_controller() {
  admin apply --server-side -k "$REPOSITORY/config/crd" >/dev/null
  admin apply --server-side -k "$REPOSITORY/config/rbac" >/dev/null
  # shellcheck disable=SC2046,SC2086 # one argument each
  admin wait --for=condition=Established --timeout=30s $(printf 'crd/%s.topology.warrener.dev ' $KINDS brokerinventories) >/dev/null
  write_controller_kubeconfig
  stop_process "$DIR/controller.pid" 10 # of an earlier build
  KUBECONFIG=$DIR/controller.kubeconfig spawn "$DIR/controller.pid" "$LOG" "$DIR/bin/warrener-controller" \
    --metrics-bind-address "127.0.0.1:$METRICS" --health-probe-bind-address "127.0.0.1:$PROBES" --leader-elect
  wait_until 30 "$DIR/controller.pid" "the controller" "$LOG" curl -fsS --max-time 2 "http://127.0.0.1:$PROBES/readyz"
}

# write_controller_kubeconfig: the service account's own token, in place of the administrator's certificate.
write_controller_kubeconfig() {
  local file=$DIR/controller.kubeconfig token
  token=$(admin -n warrener-system create token warrener-controller --duration=24h)
  (umask 077; cp "$ADMIN" "$file")
  "$kubectl" --kubeconfig "$file" config unset users >/dev/null
  "$kubectl" --kubeconfig "$file" config set-credentials controller --token "$token" >/dev/null
  "$kubectl" --kubeconfig "$file" config set-context --current --user controller >/dev/null
}

# apply_samples applies them unchanged but for the addresses, and lets the controller read the Secret beside them.
apply_samples() {
  local dir=$DIR/samples
  mkdir -p "$dir"
  cat >"$dir/kustomization.yaml" <<YAML
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
- $(realpath --relative-to "$dir" "$REPOSITORY/config/samples")
- secret_reader.yaml
patches:
- target: {kind: RabbitMQConnection, name: rabbitmq}
  patch: |
    - {op: replace, path: /spec/endpoint, value: "$RABBITMQ_URL"}
    - {op: replace, path: /spec/clientEndpoints, value: ["amqp://${AMQP_URL##*@}"]}
- target: {kind: KafkaConnection, name: kafka}
  patch: |
    - {op: replace, path: /spec/bootstrapServers, value: ["${KAFKA_BOOTSTRAP//,/'", "'}"]}
YAML
  admin -n orders create rolebinding warrener-secret-reader --clusterrole warrener-secret-reader \
    --serviceaccount warrener-system:warrener-controller --dry-run=client -o yaml >"$dir/secret_reader.yaml"
  admin apply --server-side --force-conflicts -k "$dir" >"$dir/applied" # what was edited since KEEP=1 is undone
  note "$(sed 's|[./].*||' "$dir/applied" | sort | uniq -c | awk '{printf "%s%s %s", sep, $1, $2; sep = ", "}')"
}

wait_ready() {
  local kind begin
  begin=$(date +%s%N)
  for kind in $KINDS; do
    admin -n orders wait "$kind" --all --for=condition=Ready --timeout=60s >"$DIR/wait.log" 2>&1 || not_ready "$kind"
  done
  note "after $(awk -v ns=$(($(date +%s%N) - begin)) 'BEGIN {printf "%.1f", ns / 1e9}') s"
}

# not_ready says which objects are not, with their messages.
not_ready() {
  say "ERROR: not all $1 became Ready:"
  admin -n orders get "$1" -o jsonpath='{range .items[*]}{.kind} {.metadata.name}: Ready={.status.conditions[?(@.type=="Ready")].status} {.status.conditions[?(@.type=="Ready")].message}{"\n"}{end}' |
    grep -v 'Ready=True' >&2 || cat "$DIR/wait.log" >&2
  grep -v '"level":"info"' "$LOG" | tail -n 10 | cut -c1-400 >&2 || true
  die "the controller's log is $LOG"
}

prove() {
  alive "$DIR/controller.pid" || die "the controller has ended" "$LOG"
  "$DIR/bin/demo" -amqp "$AMQP_URL" -kafka "$KAFKA_BOOTSTRAP"
}

# finish STATUS: stop everything, or say what is left.
finish() {
  trap - EXIT
  if [ "$1" != 0 ]; then
    report_failure "$1"
    if [ -n "${KEEP:-}" ]; then say "It is left as it is until make demo-down: export KUBECONFIG=$ADMIN"; else stop_all; fi
    say "Logs of the control plane and the controller: $DIR/*.log; of the brokers: below $RUN/demo-*"
    exit "$1"
  fi
  if [ -n "${KEEP:-}" ]; then
    say "
Demo done in $(clock). It keeps running until: make demo-down

  export KUBECONFIG=$ADMIN
  export PATH=$(dirname "$kubectl"):\$PATH     # for kubectl
  RabbitMQ's management UI  $RABBITMQ_URL  ($PASSWORD / $PASSWORD)
  Kafka's bootstrap server  $KAFKA_BOOTSTRAP
  Warrener's metrics        http://127.0.0.1:$METRICS/metrics
  Warrener's log            $LOG
  Messages once more        go run ./hack/demo -amqp $AMQP_URL -kafka $KAFKA_BOOTSTRAP"
    return
  fi
  remove
  say "
Demo done in $(clock). Nothing is left running; make demo KEEP=1 would leave it, to look around."
}

stop_all() {
  stop_process "$DIR/controller.pid" 10
  stop_process "$DIR/fakekafka.pid" 5
  [ ! -d "$RUN/demo-rabbitmq" ] || "$HACK/rabbitmq.sh" stop demo-rabbitmq
  [ ! -d "$RUN/demo-kafka" ] || "$HACK/kafka.sh" stop demo-kafka
  [ ! -d "$DIR" ] || "$HACK/controlplane.sh" stop demo
  [ ! -e "$DIR/docker" ] || "${COMPOSE[@]}" down
}

# remove ends everything and forgets its data.
remove() {
  stop_all
  [ ! -d "$RUN/demo-rabbitmq" ] || "$HACK/rabbitmq.sh" rm demo-rabbitmq
  [ ! -d "$RUN/demo-kafka" ] || "$HACK/kafka.sh" rm demo-kafka
  [ ! -d "$DIR" ] || "$HACK/controlplane.sh" rm demo
}

down() {
  remove
  say "the demo is down"
}

# One demo at a time in a state folder; flock closes its descriptor, so that no daemon inherits the lock.
locked() {
  mkdir -p "$STATE/locks"
  flock --nonblock --close --conflict-exit-code 75 "$STATE/locks/demo" "$0" "$1-locked" || {
    status=$?
    [ "$status" != 75 ] || die "another demo uses $STATE: wait for it, or set WARRENER_STATE to another folder"
    exit "$status"
  }
}

case ${1:-}:$# in
  up:1 | down:1) locked "$1" ;;
  up-locked:1) up ;;
  down-locked:1) down ;;
  *) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
