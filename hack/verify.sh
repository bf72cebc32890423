#!/usr/bin/env bash
# verify.sh: is everything that is generated up to date, and can it be installed?
#
# It regenerates code, CRDs, RBAC and docs in a copy of the checkout and compares; checks scripts; and has a control plane of
# the oldest supported Kubernetes accept the CRDs, every kustomization of config/ and the samples. It changes nothing here.
set -euo pipefail
# shellcheck source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
# shellcheck source=lib/steps.sh
source "$HACK/lib/steps.sh"

REPOSITORY=$(dirname "$HACK")
NAME=verify-$$
WORK=$(mktemp -d)

verify() {
  cd "$REPOSITORY"
  steps 6
  trap 'finish $?' EXIT
  trap 'exit 130' INT TERM
  step "make generate changes nothing"
  generated
  step "go mod tidy changes nothing"
  tidy
  step "shellcheck finds nothing"
  scripts
  step "Node can read all JavaScript, and the lock file of examples/nodejs names no registry"
  javascript
  step "Kubernetes $KUBERNETES_VERSION, the oldest supported, installs the CRDs"
  kubectl=$("$HACK/controlplane.sh" get)/kubectl
  export KUBECONFIG=$RUN/$NAME/kubeconfig
  export WARRENER_OWNER_PID=$$ # if we are killed, the next test run removes it
  "$HACK/controlplane.sh" start "$NAME" >/dev/null
  crds
  step "it accepts every kustomization of config/ and hack/kind"
  kustomizations
}

finish() {
  trap - EXIT
  [ ! -d "$RUN/$NAME" ] || "$HACK/controlplane.sh" rm "$NAME"
  rm -rf "$WORK"
  [ "$1" = 0 ] || report_failure "$1"
  [ "$1" != 0 ] || say "[$(clock)] verified"
  exit "$1"
}

# generated compares a regenerated copy of the checkout (what git tracks or would add) with the checkout.
generated() {
  mkdir "$WORK/before" "$WORK/after"
  git ls-files --cached --others --exclude-standard -z | while IFS= read -r -d '' file; do
    [ ! -e "$file" ] || printf '%s\0' "$file"
  done >"$WORK/files"
  tar --null --files-from "$WORK/files" -cf - | tee >(tar -xf - -C "$WORK/before") | tar -xf - -C "$WORK/after"
  make --no-print-directory -C "$WORK/after" generate >"$WORK/log" 2>&1 || die "make generate failed" "$WORK/log"
  (cd "$WORK" && diff -ruN --exclude=bin before after) || die "generated files are out of date, see above: run make generate"
}

tidy() {
  local module
  for module in . hack/tools; do
    (cd "$module" && go mod tidy -diff) || die "$module/go.mod or go.sum is not tidy, see above: run go mod tidy there"
  done
}

scripts() {
  if ! command -v shellcheck >/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
      apt-get install -y --no-install-recommends shellcheck >"$WORK/log" 2>&1 ||
        { apt-get update && apt-get install -y --no-install-recommends shellcheck; } >"$WORK/log" 2>&1 ||
        die "could not install shellcheck" "$WORK/log"
    elif [ -n "${CI:-}" ]; then
      die "shellcheck is missing, and CI may not skip it"
    else
      note "SKIPPED: SHELLCHECK IS NOT INSTALLED (apt-get install shellcheck)"
      return
    fi
  fi
  # SC1091: sourced files are given as arguments themselves.
  git ls-files --cached --others --exclude-standard -z '*.sh' .ci/run | xargs -0 shellcheck -x -e SC1091
}

javascript() {
  need node "install Node 20.19 or newer"
  git ls-files --cached --others --exclude-standard -z 'examples/*.js' 'internal/graph/assets/*.js' | xargs -0 -n1 node --check
  ! grep -n '"resolved"' examples/nodejs/package-lock.json ||
    die "examples/nodejs/package-lock.json names a registry, see above: run npm install in examples/nodejs, whose .npmrc prevents it"
}

crds() {
  "$kubectl" apply --server-side -k config/crd >/dev/null
  "$kubectl" wait --for=condition=Established --timeout=30s crd --all >/dev/null
  note "$("$kubectl" get crd -o name | wc -l) CRDs"
}

# kustomizations: namespaces must exist for a dry run of what is inside them.
kustomizations() {
  local dir namespace
  for dir in $(git ls-files --cached --others --exclude-standard 'config/**/kustomization.yaml' hack/kind/kustomization.yaml | xargs -r dirname | sort); do
    "$kubectl" kustomize "$dir" >"$WORK/manifest.yaml"
    sed -n 's/^  namespace: \(.*\)$/\1/p' "$WORK/manifest.yaml" | sort -u | while read -r namespace; do
      "$kubectl" get namespace "$namespace" >/dev/null 2>&1 || "$kubectl" create namespace "$namespace" >/dev/null
    done
    "$kubectl" apply --server-side --dry-run=server --force-conflicts -f "$WORK/manifest.yaml" >"$WORK/log" 2>&1 ||
      die "$dir is not accepted" "$WORK/log"
    ! grep -i '^warning' "$WORK/log" || die "$dir is accepted with warnings, see above"
    note "$dir: $(wc -l <"$WORK/log") objects"
  done
}

verify
