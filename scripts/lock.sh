#!/bin/sh
# Writes the lock files from pyproject.toml, for every platform and Python that it allows. Versions that are locked
# already stay while they fit; with --upgrade the newest that fit are taken.
set -eu
python=.venv/bin/python
"$python" -m pip install --quiet --disable-pip-version-check uv==0.13.9

resolve() {
    "$python" -m uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
        --no-header --annotation-style line "$@" >/dev/null
}

resolve --output-file requirements.lock "$@"
resolve --extra training --extra hub --extra peers --extra loadtest --extra dev --constraint requirements.lock --output-file requirements-dev.lock "$@"
