#!/bin/sh
# Makes the virtual environment from the hashed lock file. Needs Python >= 3.11 and nothing else.
set -eu
PYTHON=${PYTHON:-python3}
VENV=${VENV:-.venv}

if ! "$PYTHON" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; then
    echo "Isocenter needs Python 3.11, 3.12 or 3.13; '$PYTHON' is not. Try: make PYTHON=python3.11" >&2
    exit 1
fi

may_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; }

make_venv() { "$PYTHON" -m venv "$VENV" >/dev/null 2>&1; }

if [ ! -x "$VENV/bin/pip" ]; then
    echo "Making the environment in $VENV ..."
    if ! make_venv; then
        rm -rf "$VENV"
        if may_install; then
            # Debian and Ubuntu keep ensurepip in a package of its own.
            apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null
            make_venv || { echo "python3 -m venv does not work here" >&2; exit 1; }
        else
            echo "python3 -m venv does not work here. Try: sudo apt-get install python3-venv" >&2
            exit 1
        fi
    fi
fi
echo "Installing what Isocenter needs (some minutes at the first time) ..."
"$VENV/bin/python" -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
"$VENV/bin/python" -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
VENV="$VENV" sh scripts/assets.sh
