#!/usr/bin/env bash
# plan.sh: run `warrener plan` for a pull request, and show it there. See action.yml for what it is given.
set -euo pipefail

mark='<!-- warrener plan -->'
file=${RUNNER_TEMP:-/tmp}/warrener-plan.md

program=${PROGRAM:-}
if [ -z "$program" ]; then
  program=${RUNNER_TEMP:-/tmp}/warrener
  (cd "$GITHUB_ACTION_PATH/../../.." && go build -o "$program" ./cmd/warrener)
fi

# comment replaces the comment of an earlier run, or writes the first one.
comment() {
  local repository=repos/$GITHUB_REPOSITORY earlier
  earlier=$(gh api --paginate "$repository/issues/$PULL_REQUEST/comments" \
    --jq ".[] | select(.user.type == \"Bot\" and (.body | startswith(\"$mark\"))) | .id" | sed -n 1p)
  if [ -n "$earlier" ]; then
    gh api --method PATCH "$repository/issues/comments/$earlier" --field body=@"$file" >/dev/null
  else
    gh api --method POST "$repository/issues/$PULL_REQUEST/comments" --field body=@"$file" >/dev/null
  fi
}

read -ra words <<<"$ARGUMENTS"
code=0
"$program" plan "${words[@]}" -o markdown >"$file" || code=$?
if [ -s "$file" ]; then
  cat "$file" >>"${GITHUB_STEP_SUMMARY:-/dev/null}"
  if [ "${COMMENT:-true}" = true ] && [ -n "${PULL_REQUEST:-}" ]; then comment; fi
fi
changes=false
[ "$code" != 2 ] || changes=true
printf 'changes=%s\nfile=%s\n' "$changes" "$file" >>"${GITHUB_OUTPUT:-/dev/null}"
if [ "$code" = 2 ] && [ "${FAIL_ON_CHANGES:-false}" != true ]; then code=0; fi
exit "$code"
