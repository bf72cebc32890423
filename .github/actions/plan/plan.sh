#!/usr/bin/env bash
# plan.sh: run `warrener plan` for a pull request, and show it there. See action.yml for what it is given. It takes curl and jq, which all of GitHub's runners have.
set -euo pipefail

mark='<!-- warrener plan -->'
file=${RUNNER_TEMP:-/tmp}/warrener-plan.md

program=${PROGRAM:-}
if [ -z "$program" ]; then
  program=${RUNNER_TEMP:-/tmp}/warrener
  (cd "$GITHUB_ACTION_PATH/../../.." && go build -o "$program" ./cmd/warrener)
fi

# api METHOD PATH [curl's arguments] asks GitHub. The token is on no command line, where others could read it.
api() {
  local method=$1 path=$2
  shift 2
  curl --silent --show-error --fail-with-body --max-time 60 --request "$method" --config <(printf 'header = "Authorization: Bearer %s"\n' "$GH_TOKEN") \
    --header 'Accept: application/vnd.github+json' "$@" "${GITHUB_API_URL:-https://api.github.com}/$path"
}

# earlier finds the comment of an earlier run. The mark alone does not make it ours: who wrote a comment can edit it later.
earlier() {
  local page=1 comments me
  me=$(api GET user 2>/dev/null | jq -r '.login // empty') || me= # a token of a workflow is nobody's
  while true; do
    comments=$(api GET "repos/$GITHUB_REPOSITORY/issues/$PULL_REQUEST/comments?per_page=100&page=$page")
    jq -r --arg mark "$mark" --arg me "$me" \
      '.[] | select((.user.type == "Bot" or ($me != "" and .user.login == $me)) and (.body | startswith($mark))) | .id' <<<"$comments"
    [ "$(jq length <<<"$comments")" = 100 ] || return 0
    page=$((page + 1))
  done
}

# comment replaces the comment of an earlier run, or writes the first one. What GitHub says against it is shown.
comment() {
  local ids id method=POST path=issues/$PULL_REQUEST/comments answer
  ids=$(earlier) || return 1
  id=${ids%%$'\n'*}
  if [ -n "$id" ]; then method=PATCH path=issues/comments/$id; fi
  answer=$(jq -Rs '{body: .}' "$file" | api "$method" "repos/$GITHUB_REPOSITORY/$path" --data-binary @-) || { printf '%s\n' "$answer" >&2; return 1; }
}

read -rd '' -a words <<<"$ARGUMENTS" || true # on one line or on several
code=0
"$program" plan "${words[@]}" -o markdown >"$file" || code=$?
changes=false
[ "$code" != 2 ] || changes=true
printf 'changes=%s\nfile=%s\n' "$changes" "$file" >>"${GITHUB_OUTPUT:-/dev/null}"
if [ -s "$file" ]; then
  cat "$file" >>"${GITHUB_STEP_SUMMARY:-/dev/null}"
  if [ "${COMMENT:-true}" = true ] && [ -n "${PULL_REQUEST:-}" ] && ! comment; then
    echo "::warning::the plan could not be written as a comment: it takes the permission pull-requests: write, which workflows of forks do not get. It is in the summary of the job"
  fi
fi
if [ "$code" = 2 ] && [ "${FAIL_ON_CHANGES:-false}" != true ]; then code=0; fi
exit "$code"
