# shellcheck shell=bash
# shellcheck disable=SC2034,SC2086,SC2164 # used by controlplane.sh; $EC is several words; set -e is on
# controlplane-parts.sh: where the binaries of the control plane come from, its certificates and its kubeconfig.
# To be sourced by controlplane.sh.

CONTROLLERS=namespace-controller,garbage-collector-controller,serviceaccount-controller,serviceaccount-token-controller,root-ca-certificate-publisher-controller,clusterrole-aggregation-controller,validatingadmissionpolicy-status-controller
KUBERNETES_BINARIES="kube-apiserver kube-controller-manager kubectl"
KUBERNETES_PART=kubernetes-${KUBERNETES_VERSION#v}
ETCD_PART=etcd-${ETCD_VERSION#v}
ASSETS_PART=controlplane-${KUBERNETES_VERSION#v}-etcd-${ETCD_VERSION#v}

# fetch URL FILE: download, giving up soon where the host cannot be reached.
fetch() { curl -fsSL --connect-timeout 5 --max-time 600 --speed-limit 10000 --speed-time 20 -o "$2" "$1"; }

platform() {
  local arch
  case $(uname -m) in
    x86_64) arch=amd64 ;;
    aarch64 | arm64) arch=arm64 ;;
    *) arch=$(uname -m) ;;
  esac
  echo "$(uname -s | tr '[:upper:]' '[:lower:]')${1}$arch"
}

get_kubernetes() {
  if [ -z "${WARRENER_BUILD_PARTS:-}" ] && download_kubernetes "$1"; then :; else build_kubernetes "$1"; fi
  "$1/kube-apiserver" --version
}

download_kubernetes() {
  local base name
  base=https://dl.k8s.io/$KUBERNETES_VERSION/bin/$(platform /)
  for name in $KUBERNETES_BINARIES; do
    fetch "$base/$name" "$1/$name" || return 1
    fetch "$base/$name.sha256" "$1/$name.sha256" || return 1
    (cd "$1" && echo "$(cat "$name.sha256")  $name" | sha256sum -c -) || return 1
    chmod +x "$1/$name"
  done
}

# Kubernetes' module names its staging modules v0.0.0 and replaces them by folders that a released module does
# not have; each of them is published as v0.x.y for Kubernetes v1.x.y.
build_kubernetes() {
  need go "install Go 1.26"
  local src=$1/src minor staging
  minor=${KUBERNETES_VERSION#v1.}
  staging=v0.$minor
  mkdir -p "$src"
  cd "$src"
  go mod download -x "k8s.io/kubernetes@$KUBERNETES_VERSION"
  {
    printf 'module controlplane\n\ngo 1.24.0\n\nrequire k8s.io/kubernetes %s\n\nreplace (\n' "$KUBERNETES_VERSION"
    sed -n 's|^\t\(k8s.io/[a-z-]*\) v0\.0\.0$|\1|p' "$(go env GOMODCACHE)/k8s.io/kubernetes@$KUBERNETES_VERSION/go.mod" |
      while read -r module; do printf '\t%s => %s %s\n' "$module" "$module" "$staging"; done
    printf ')\n'
  } >go.mod
  local version="-X k8s.io/component-base/version.gitVersion=$KUBERNETES_VERSION"
  version+=" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=${minor%%.*}"
  version+=" -X k8s.io/component-base/version.gitTreeState=archive"
  local name
  for name in $KUBERNETES_BINARIES; do
    echo "build $name at $(date +%T)"
    CGO_ENABLED=0 GOFLAGS=-mod=mod GOWORK=off nice -n 10 go build -trimpath -ldflags "-s -w $version" -o "$1/$name" "k8s.io/kubernetes/cmd/$name"
  done
}

get_etcd() {
  if [ -z "${WARRENER_BUILD_PARTS:-}" ] && download_etcd "$1"; then :; else build_etcd "$1"; fi
  "$1/etcd" --version
}

download_etcd() {
  local base name
  base=https://github.com/etcd-io/etcd/releases/download/$ETCD_VERSION
  name=etcd-$ETCD_VERSION-$(platform -)
  fetch "$base/SHA256SUMS" "$1/SHA256SUMS" || return 1
  fetch "$base/$name.tar.gz" "$1/$name.tar.gz" || return 1
  (cd "$1" && grep " $name.tar.gz\$" SHA256SUMS | sha256sum -c -) || return 1
  tar -xzf "$1/$name.tar.gz" -C "$1" --strip-components 1 --no-same-owner "$name/etcd" || return 1
  rm "$1/$name.tar.gz"
}

build_etcd() {
  need go "install Go 1.26"
  mkdir -p "$1/src"
  cd "$1/src"
  printf 'module etcd\n\ngo 1.24.0\n\nrequire go.etcd.io/etcd/server/v3 %s\n' "$ETCD_VERSION" >go.mod
  printf 'package main\n\nimport (\n\t"os"\n\n\t"go.etcd.io/etcd/server/v3/etcdmain"\n)\n\nfunc main() { etcdmain.Main(os.Args) }\n' >main.go
  CGO_ENABLED=0 GOFLAGS=-mod=mod GOWORK=off nice -n 10 go build -trimpath -ldflags "-s -w" -o "$1/etcd" .
}

link_assets() {
  local name
  for name in $KUBERNETES_BINARIES; do ln -s "../$KUBERNETES_PART/$name" "$1/$name"; done
  ln -s "../$ETCD_PART/etcd" "$1/etcd"
}

# make_certificates DIR: ca, server, admin and the key for service account tokens.
make_certificates() {
  make_authority "$1" &&
    issue "$1" server /CN=kube-apiserver 'subjectAltName=IP:127.0.0.1,IP:10.0.0.1,DNS:localhost,DNS:kubernetes.default.svc' &&
    openssl genpkey -algorithm EC $EC -out "$1/sa.key" && openssl pkey -in "$1/sa.key" -pubout -out "$1/sa.pub" &&
    issue "$1" admin /O=system:masters/CN=admin extendedKeyUsage=clientAuth
}

# write_kubeconfig DIR PORT BIN: DIR/kubeconfig for the administrator, everything embedded.
write_kubeconfig() {
  local tmp=$1/kubeconfig.tmp kubectl=$3/kubectl
  rm -f "$tmp"
  "$kubectl" --kubeconfig "$tmp" config set-cluster warrener --server "https://127.0.0.1:$2" --embed-certs --certificate-authority "$1/certs/ca.crt" >/dev/null
  "$kubectl" --kubeconfig "$tmp" config set-credentials admin --embed-certs --client-certificate "$1/certs/admin.crt" --client-key "$1/certs/admin.key" >/dev/null
  "$kubectl" --kubeconfig "$tmp" config set-context warrener --cluster warrener --user admin >/dev/null
  "$kubectl" --kubeconfig "$tmp" config use-context warrener >/dev/null
  mv "$tmp" "$1/kubeconfig"
}
