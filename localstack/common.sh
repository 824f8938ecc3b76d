# Shared by `up` and `down`, to be sourced: where LocalStack's process and files are.
# shellcheck shell=bash disable=SC2034

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
state=$(dirname "$here")/.localstack
port=${LOCALSTACK_PORT:-4566}
pid_file=$state/pid         # of the process that `up` started
port_file=$state/port       # the port it was started for
compose_mark=$state/compose # there while `up` has LocalStack running in Docker
log=$state/localstack.log

# True while the process in the pid file runs and is LocalStack: a pid that a dead LocalStack left behind
# may belong to anyone by now.
running() {
  local pid command
  [ -s "$pid_file" ] || return 1
  pid=$(cat "$pid_file")
  if [ -r "/proc/$pid/cmdline" ]; then
    command=$(tr '\0' ' ' <"/proc/$pid/cmdline")
  else
    command=$(ps -o args= -p "$pid" 2>/dev/null) || return 1
  fi
  case $command in
    *localstack.runtime.main*) return 0 ;;
    *) return 1 ;;
  esac
}

# Stops the process that `up` started, if it runs: SIGTERM, and after 20 s SIGKILL. Nothing it held is worth more:
# LocalStack keeps its data in memory.
stop_process() {
  local pid waited=0
  if running; then
    pid=$(cat "$pid_file")
    kill "$pid" 2>/dev/null || true
    while running; do
      if [ "$waited" -ge 100 ]; then
        kill -KILL "$pid" 2>/dev/null || true
      fi
      sleep 0.2
      waited=$((waited + 1))
    done
  fi
  rm -f "$pid_file" "$port_file"
}

compose() {
  docker compose -f "$here/compose.yaml" "$@"
}
