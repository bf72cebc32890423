#!/usr/bin/env bash
# controlplane.sh: a Kubernetes control plane on loopback, without a container engine.
#
#   controlplane.sh get           put kube-apiserver, kube-controller-manager, kubectl and etcd into one folder; print it
#   controlplane.sh start NAME    start etcd, kube-apiserver and the controllers for namespaces, garbage collection, service
#                                 accounts and aggregated roles; prints the path of an administrator's kubeconfig
#   controlplane.sh stop NAME [apiserver]   stop them, or the API server only; the data is kept, `start` starts what is down
#   controlplane.sh rm NAME       stop them and remove their data
#
# The released binaries are downloaded where that is possible, else they are built from their Go modules.
set -euo pipefail
# shellcheck source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
# shellcheck source=lib/tls.sh
source "$HACK/lib/tls.sh"
# shellcheck source=lib/controlplane-parts.sh
source "$HACK/lib/controlplane-parts.sh"

get() {
  make_part "$KUBERNETES_PART" get_kubernetes
  make_part "$ETCD_PART" get_etcd
  make_part "$ASSETS_PART" link_assets
  echo "$PARTS/$ASSETS_PART"
}

start() {
  local dir bin
  bin=$(get)
  dir=$(instance_dir "$1")
  mkdir -p "$dir/certs"
  ports "$dir" API ETCD ETCD_PEER
  with_lock "run-$1" start_locked "$dir" "$bin"
  echo "$dir/kubeconfig"
}

start_locked() {
  local dir=$1 bin=$2 API ETCD ETCD_PEER
  # shellcheck source=/dev/null
  source "$dir/ports"
  [ -s "$dir/certs/admin.crt" ] || make_certificates "$dir/certs" >"$dir/certs.log" 2>&1 ||
    die "could not make the certificates" "$dir/certs.log"
  write_kubeconfig "$dir" "$API" "$bin"
  if ! alive "$dir/etcd.pid"; then
    spawn "$dir/etcd.pid" "$dir/etcd.log" "$bin/etcd" --data-dir "$dir/etcd" --unsafe-no-fsync \
      --listen-client-urls "http://127.0.0.1:$ETCD" --advertise-client-urls "http://127.0.0.1:$ETCD" \
      --listen-peer-urls "http://127.0.0.1:$ETCD_PEER" --initial-advertise-peer-urls "http://127.0.0.1:$ETCD_PEER" \
      --initial-cluster "default=http://127.0.0.1:$ETCD_PEER" --log-level warn
  fi
  if ! alive "$dir/apiserver.pid"; then
    spawn "$dir/apiserver.pid" "$dir/apiserver.log" "$bin/kube-apiserver" \
      --etcd-servers "http://127.0.0.1:$ETCD" --bind-address 127.0.0.1 --advertise-address 127.0.0.1 \
      --secure-port "$API" --cert-dir "$dir/certs" --authorization-mode RBAC --service-cluster-ip-range 10.0.0.0/24 \
      --tls-cert-file "$dir/certs/server.crt" --tls-private-key-file "$dir/certs/server.key" \
      --client-ca-file "$dir/certs/ca.crt" --service-account-key-file "$dir/certs/sa.pub" \
      --service-account-signing-key-file "$dir/certs/sa.key" --service-account-issuer https://kubernetes.default.svc \
      --endpoint-reconciler-type none --allow-privileged --v 0
  fi
  # readyz also covers the hooks that create the built-in roles.
  wait_until 60 "$dir/apiserver.pid" kube-apiserver "$dir/apiserver.log" \
    "$bin/kubectl" --kubeconfig "$dir/kubeconfig" --request-timeout 2s get --raw /readyz
  if ! alive "$dir/controllers.pid"; then
    spawn "$dir/controllers.pid" "$dir/controllers.log" "$bin/kube-controller-manager" \
      --kubeconfig "$dir/kubeconfig" --leader-elect=false --secure-port 0 --controllers "$CONTROLLERS" \
      --service-account-private-key-file "$dir/certs/sa.key" --root-ca-file "$dir/certs/ca.crt" \
      --concurrent-namespace-syncs 4 --kube-api-qps 200 --kube-api-burst 400 --v 0
  fi
  wait_until 30 "$dir/controllers.pid" kube-controller-manager "$dir/controllers.log" \
    "$bin/kubectl" --kubeconfig "$dir/kubeconfig" --request-timeout 2s -n default get serviceaccount default
}

stop() {
  local dir
  dir=$(instance_dir "$1")
  if [ "${2:-}" = apiserver ]; then
    stop_process "$dir/apiserver.pid" 10 KILL
    return
  fi
  stop_process "$dir/controllers.pid" 5 KILL
  stop_process "$dir/apiserver.pid" 10 KILL # an orderly stop drains for seconds
  stop_process "$dir/etcd.pid" 5
}

case ${1:-} in
  get) get ;;
  start) start "${2:?name of the instance}" ;;
  stop) stop "${2:?name of the instance}" "${3:-}" ;;
  rm) stop "${2:?name of the instance}"; rm -rf "$(instance_dir "$2")" ;;
  *) sed -n '2,11s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
