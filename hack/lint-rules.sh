#!/usr/bin/env bash
# lint-rules.sh: prove that the import rules in .golangci.yml refuse what they are there to refuse.
#
# In a scratch module with this one's go.mod, each forbidden import is made once, and depguard must refuse it.
set -euo pipefail
# shellcheck source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

MODULE=github.com/warrener-dev/warrener
# folder, and what it must not import
FORBIDDEN="
internal/topology   golang.org/x/sync/errgroup
internal/topology   $MODULE/internal/plan
internal/plan       $MODULE/internal/engine
internal/plan       k8s.io/apimachinery/pkg/types
internal/engine     $MODULE/internal/rabbitmq
internal/engine     $MODULE/internal/compile
internal/migration  $MODULE/internal/rabbitmq
internal/migration  $MODULE/internal/plan
internal/rabbitmq   $MODULE/internal/kafka
internal/rabbitmq   $MODULE/api/v1alpha1
internal/kafka      $MODULE/internal/rabbitmq
internal/kafka      $MODULE/internal/engine
internal/compile    sigs.k8s.io/controller-runtime/pkg/client
internal/compile    $MODULE/internal/engine
internal/contract   $MODULE/api/v1alpha1
internal/contract   k8s.io/apimachinery/pkg/types
internal/dial       $MODULE/internal/engine
internal/dial       k8s.io/api/core/v1
internal/shard      $MODULE/internal/topology
internal/shard      k8s.io/api/coordination/v1
internal/trace      $MODULE/internal/rabbitmq
internal/trace      $MODULE/api/v1alpha1
internal/graph      $MODULE/api/v1alpha1
internal/graph      $MODULE/internal/engine
internal/manifest   $MODULE/internal/engine
internal/manifest   k8s.io/client-go/dynamic
internal/preview    $MODULE/internal/engine
internal/preview    k8s.io/apimachinery/pkg/types
internal/importer   $MODULE/internal/rabbitmq
internal/importer   k8s.io/client-go/dynamic
api/v1alpha1        sigs.k8s.io/controller-runtime/pkg/client
controllers         $MODULE/internal/cli
internal/cli        $MODULE/controllers
internal/cli/print  $MODULE/controllers
internal/lint       k8s.io/apimachinery/pkg/types
internal/lint       $MODULE/internal/engine
internal/trace      $MODULE/api/v1alpha1
internal/cli        sigs.k8s.io/controller-runtime/pkg/client
"

golangci=$("$HACK/tools.sh" golangci-lint)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$HACK/.."
cp go.mod go.sum .golangci.yml "$work/"
cd "$work"
# Only the imports matter: packages with nothing in them are linted in a second. One rule at a time, so that no imports go in a circle.
number=0 missed=0
while read -r room import; do
  [ -n "$room" ] || continue
  number=$((number + 1))
  rm -rf api internal controllers
  mkdir -p "$room"
  printf 'package %s\n\nimport _ "%s"\n' "$(basename "$room")" "$import" >"$room/forbidden.go"
  if [[ $import = "$MODULE"/* ]]; then
    mkdir -p "${import#"$MODULE"/}"
    printf 'package %s\n' "$(basename "$import")" >"${import#"$MODULE"/}/stub.go"
  fi
  "$golangci" run --allow-parallel-runners --enable-only depguard --output.text.path stdout "./$room" >found 2>&1 || true
  grep -q "'$import'.*(depguard)" found || {
    say "depguard lets $room import $import"
    cat found >&2
    missed=$((missed + 1))
  }
done <<<"$FORBIDDEN"
[ "$missed" = 0 ] || die "$missed of $number import rules do not refuse"
say "import rules: all $number forbidden imports are refused"
