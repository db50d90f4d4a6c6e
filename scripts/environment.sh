#!/bin/sh
# Makes .venv hold what a lock file pins, and the project itself in editable form.
#
#   scripts/environment.sh LOCK STAMP      LOCK: requirements.lock or requirements-dev.lock
#
# STAMP is an empty file inside .venv, written last: without it nothing was finished, whatever else lies there.
# PYTHON names the interpreter that creates .venv; without it the first usable one of the list below does.
set -eu

lock=$1
stamp=$2
venv=.venv
supported='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))'

find_python() {
    if [ -n "${PYTHON:-}" ]; then set -- "$PYTHON"; else set -- python3 python3.12 python3.11; fi
    for candidate; do
        # Run it: a name on the PATH may be a version manager's placeholder that starts nothing.
        if "$candidate" -c "$supported" >/dev/null 2>&1; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    echo "verto: needs Python 3.11 or 3.12; not found as: $*" >&2
    echo "verto: install one, or name it: make PYTHON=/path/to/python3.12 TARGET" >&2
    return 1
}

# A .venv whose Python does not start (base upgraded or removed, creation interrupted) is made anew.
usable() {
    "$venv/bin/python" -c "$supported" >/dev/null 2>&1 && "$venv/bin/python" -m pip --version >/dev/null 2>&1
}

install() {
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
}

# Two terminals may ask at once (make serve, make test): the second waits, where the system can.
if command -v flock >/dev/null 2>&1; then
    exec 9<"$0"
    flock 9
fi
[ ! -e "$stamp" ] || exit 0

if ! usable; then
    python=$(find_python)
    echo "verto: creating $venv with $("$python" --version 2>&1)"
    "$python" -m venv --clear "$venv"
fi

# From here on the packages are neither the old set nor the new one.
rm -f "$venv"/.installed-*
echo "verto: installing $lock into $venv (the first time takes some minutes)"
install --requirement "$lock"
# setuptools came with the lock, so nothing is fetched to build the project.
install --no-deps --no-build-isolation --editable .
: >"$stamp"
