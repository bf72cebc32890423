#!/usr/bin/env bash
# kind-demo.sh: the demo in a kind cluster, for machines with Docker: RabbitMQ, Kafka, the controller's image, the samples.
#
#   kind-demo.sh up      make the cluster `warrener` and run the demo; the cluster stays
#   kind-demo.sh down    delete the cluster
set -euo pipefail
# shellcheck source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
# shellcheck source=lib/steps.sh
source "$HACK/lib/steps.sh"

CLUSTER=warrener
IMAGE=warrener-controller:demo
KINDS="rabbitmqconnections kafkaconnections virtualhosts exchanges queues exchangebindings topics"
FORWARDS=()

on_cluster() { kubectl --context "kind-$CLUSTER" "$@"; }

up() {
  cd "$HACK/.."
  steps 7
  need docker "install Docker, or use make demo, which needs none"
  need kind "install kind: go install sigs.k8s.io/kind@latest"
  need kubectl "install kubectl"
  need go "install Go 1.26: the clients of the demo are built with it"
  trap 'finish $?' EXIT
  trap 'exit 130' INT TERM
  step "make the kind cluster $CLUSTER, unless it is there"
  kind get clusters | grep -qx "$CLUSTER" || kind create cluster --name "$CLUSTER" --wait 120s
  step "start RabbitMQ and Kafka in it"
  on_cluster apply --server-side -k hack/kind
  step "build the controller's image and load it"
  docker build -q -t "$IMAGE" .
  kind load docker-image --name "$CLUSTER" "$IMAGE"
  step "deploy the controller"
  hack/deploy.sh "kubectl --context kind-$CLUSTER" "$IMAGE"
  on_cluster -n warrener-system rollout restart deployment/warrener-controller # the image may be newer under the same name
  on_cluster -n warrener-system rollout status deployment/warrener-controller --timeout=120s
  on_cluster -n messaging rollout status statefulset/rabbitmq --timeout=300s
  on_cluster -n messaging rollout status statefulset/kafka --timeout=300s
  step "kubectl apply -k config/samples"
  on_cluster apply --server-side -f config/samples/namespace.yaml
  on_cluster -n orders create rolebinding warrener-secret-reader --clusterrole warrener-secret-reader \
    --serviceaccount warrener-system:warrener-controller --dry-run=client -o yaml | on_cluster apply --server-side -f -
  on_cluster apply --server-side -k config/samples
  step "wait until all of it is Ready"
  local kind
  for kind in $KINDS; do on_cluster -n orders wait "$kind" --all --for=condition=Ready --timeout=120s >/dev/null; done
  on_cluster get warrener -A
  step "send messages through RabbitMQ"
  on_cluster -n messaging port-forward service/rabbitmq 15640:15672 5640:5672 >/dev/null &
  FORWARDS+=($!)
  wait_for_port 5640
  # Kafka's clients are told an address inside the cluster: its part of the proof is for make demo.
  go run ./hack/demo -amqp amqp://guest:guest@127.0.0.1:5640 -kafka ''
}

wait_for_port() {
  local i
  for i in $(seq 100); do
    ! port_in_use "$1" || return 0
    sleep 0.1
  done
  die "nothing listens on port $1 after $i tries"
}

finish() {
  trap - EXIT
  [ "${#FORWARDS[@]}" = 0 ] || kill "${FORWARDS[@]}" 2>/dev/null || true
  if [ "$1" != 0 ]; then
    report_failure "$1"
    say "look around: kubectl --context kind-$CLUSTER get pods,warrener -A"
    exit "$1"
  fi
  say "
Demo done in $(clock). The cluster stays: kubectl --context kind-$CLUSTER get warrener -A; $0 down deletes it."
}

case ${1:-}:$# in
  up:1) up ;;
  down:1) kind delete cluster --name "$CLUSTER" ;;
  *) sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
