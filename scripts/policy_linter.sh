#!/bin/sh
# Lints rendered manifests with checkov, under deploy/.checkov.yaml. It has an environment of its own, since its
# packages contradict the project's; made once, in the user's folder of caches.
#
#   scripts/policy_linter.sh [OPTION...] -f FILE [-f FILE...]       options are checkov's
#
# PYTHON names the interpreter that makes the environment (3.11 or 3.12; without it python3).
set -eu

version=3.3.30
here=$(dirname "$0")
cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/verto-tools
environment=$cache/checkov-$version

if [ ! -d "$environment" ]; then
    mkdir -p "$cache"
    # Made under another name: what is cut off in the midst never passes for an environment.
    unfinished=$(mktemp -d "$environment.XXXXXX")
    trap 'rm -rf "$unfinished"' EXIT
    "${PYTHON:-python3}" -m venv "$unfinished"
    # pip takes a minute or more for what uv does in seconds.
    "$unfinished/bin/python" -m pip install --quiet --disable-pip-version-check uv==0.13.9
    "$unfinished/bin/python" -m uv pip install --quiet --python "$unfinished/bin/python" "checkov==$version"
    # Where two make one at a time, the second finds the first's and keeps to it.
    [ -d "$environment" ] || mv "$unfinished" "$environment"
    rm -rf "$unfinished"
fi

exec "$environment/bin/python" -m checkov.main --config-file "$here/../deploy/.checkov.yaml" "$@"
