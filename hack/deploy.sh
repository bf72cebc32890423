#!/usr/bin/env bash
# deploy.sh KUBECTL IMAGE: apply config/default with another image, and wait until the controller is available.
set -euo pipefail
kubectl=$1 image=$2
config=$(cd "$(dirname "${BASH_SOURCE[0]}")/../config" && pwd)
overlay=$(mktemp -d)
trap 'rm -rf "$overlay"' EXIT
case $image in
  *@*) version="digest: ${image#*@}" name=${image%@*} ;;
  *:*) version="newTag: ${image##*:}" name=${image%:*} ;;
  *) version="newTag: latest" name=$image ;;
esac
# registry:5000/name has a port and no tag
[[ $version != *newTag*/* ]] || version="newTag: latest" name=$image
cat >"$overlay/kustomization.yaml" <<YAML
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
- $(realpath --relative-to "$overlay" "$config/default")
images:
- name: ghcr.io/warrener-dev/warrener-controller
  newName: $name
  $version
YAML
$kubectl apply --server-side -k "$overlay"
$kubectl -n warrener-system rollout status deployment/warrener-controller --timeout=120s
