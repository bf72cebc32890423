# shellcheck shell=bash
# steps.sh: progress of the longer scripts, step by step with the time since the start. To be sourced after common.sh.

STEP=0 STEPS='' STEP_TEXT=start

# steps NUMBER: how many there will be.
steps() { STEPS=$1; }

clock() { printf '%d:%02d' $((SECONDS / 60)) $((SECONDS % 60)); }

# step TEXT: what begins now.
step() {
  STEP=$((STEP + 1)) STEP_TEXT=$1
  say "$(printf '[%5s] %d%s  %s' "$(clock)" "$STEP" "${STEPS:+/$STEPS}" "$STEP_TEXT")"
}

# note TEXT: something about the step that runs.
note() { say "               $*"; }

# report_failure STATUS: what to say when a step has failed; what it said itself stands above.
report_failure() { say "[$(clock)] FAILED with status $1 in step $STEP: $STEP_TEXT"; }

# together COMMAND...: run the commands (each one word: a function, or a script and its arguments) at the same time and
# wait for all of them. When one fails the others are ended. What they print on standard output is dropped.
together() {
  local command pids=() pid status=0
  set -m # a process group each
  for command; do
    # shellcheck disable=SC2086 # a command is split into its words
    $command >/dev/null &
    pids+=($!)
  done
  set +m
  TOGETHER=${pids[*]}
  for pid in "${pids[@]}"; do
    [ "$status" != 0 ] || wait "$pid" || status=$?
  done
  [ "$status" = 0 ] || stop_together
  TOGETHER=
  return "$status"
}

TOGETHER=
stop_together() {
  local pid
  for pid in $TOGETHER; do kill -- "-$pid" 2>/dev/null || true; done
}
