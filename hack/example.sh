#!/usr/bin/env bash
# example.sh: run the services of examples/nodejs against the demo, tell what happens, and say whether all went well.
#
# It uses the demo that make demo KEEP=1 has left running; if there is none it starts one, and ends it.
set -euo pipefail
# shellcheck source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

EXAMPLE=$(dirname "$HACK")/examples/nodejs
DEMO=$RUN/demo
CONTRACTS=$DEMO/contracts

example() {
  need_node
  if alive "$DEMO/controller.pid"; then
    say "The demo runs already, and is used."
  else
    trap 'finish $?' EXIT
    trap 'exit 130' INT TERM
    KEEP=1 "$HACK/demo.sh" up
  fi
  say "
Install amqplib, kafkajs and @platformatic/kafka (npm ci in examples/nodejs)"
  [ "$EXAMPLE/node_modules/.package-lock.json" -nt "$EXAMPLE/package-lock.json" ] ||
    npm --prefix "$EXAMPLE" ci --no-audit --loglevel=error >/dev/null
  write_contracts
  CONTRACTS=$CONTRACTS RABBITMQ_USERNAME=guest RABBITMQ_PASSWORD=guest node "$EXAMPLE/src/story.js"
}

finish() {
  trap - EXIT
  "$HACK/demo.sh" down
  exit "$1"
}

need_node() {
  need node "install Node 20.19 or newer, with npm"
  need npm "install npm, which comes with Node"
  node -e 'const [major, minor] = process.versions.node.split("."); process.exit(major > 20 || (major == 20 && minor >= 19) ? 0 : 1)' ||
    die "Node $(node --version) is too old: install Node 20.19 or newer"
}

# write_contracts: each contract in a folder, as a pod would see the ConfigMap mounted.
write_contracts() {
  local kubectl name
  kubectl=$("$HACK/controlplane.sh" get)/kubectl
  rm -rf "$CONTRACTS"
  "$kubectl" --kubeconfig "$DEMO/kubeconfig" -n orders get queues,topics \
    -o jsonpath='{range .items[*]}{.spec.contract.configMap}{"\n"}{end}' | sed '/^$/d' >"$DEMO/contracts.list"
  while read -r name; do
    mkdir -p "$CONTRACTS/$name"
    "$kubectl" --kubeconfig "$DEMO/kubeconfig" -n orders get configmap "$name" \
      -o go-template='{{index .data "contract.json"}}' >"$CONTRACTS/$name/contract.json"
  done <"$DEMO/contracts.list"
}

example
