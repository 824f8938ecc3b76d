# Shared by localstack/up and tests/python, to be sourced: virtual environments of pinned packages.
# shellcheck shell=bash

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# Tries the command six times within some four minutes: a download can break off, and an index can be away.
persistently() {
  local pause
  for pause in 5 15 30 60 90; do
    "$@" && return
    sleep "$pause"
  done
  "$@"
}

# need_python WHO OLDEST: ends with a message that begins with WHO (`the checks need`), unless PYTHON (python3) is at least OLDEST, such as 3.11,
# and can make virtual environments.
need_python() {
  local from=${PYTHON:-python3} output
  "$from" -c "import sys; sys.exit(sys.version_info < (${2/./, }))" ||
    die "$1 Python $2 or newer, and $from is $("$from" -V 2>&1); name another with PYTHON=..."
  if ! output=$("$from" -c 'import venv, ensurepip' 2>&1); then
    die "$from cannot make virtual environments (${output##*$'\n'}); Debian: apt-get install python3-venv"
  fi
}

# make_venv VENV REQUIREMENTS: a fresh VENV with the packages of a requirements file.
make_venv() {
  rm -rf "$1"
  "${PYTHON:-python3}" -m venv "$1" &&
    persistently "$1/bin/python" -m pip install --disable-pip-version-check --no-input --no-deps -r "$2"
}
