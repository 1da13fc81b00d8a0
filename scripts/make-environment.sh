#!/usr/bin/env bash
# Makes the virtual environment $1, with uv if it is installed. Missing packages of the system's Python are
# installed with apt-get if this user may, otherwise named.
set -euo pipefail

target=$1

if command -v uv >/dev/null; then
    exec uv venv --quiet --python '>=3.11,<3.14' "$target"
fi
if ! python3 -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
    found=$(python3 --version 2>/dev/null || echo missing)
    echo "personaplex_ui needs Python 3.11, 3.12 or 3.13 as python3, which is $found." >&2
    exit 1
fi
# Debian keeps the two in a package of their own.
if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    "$(dirname "${BASH_SOURCE[0]}")/apt-install.sh" python3-venv || {
        echo "python3 cannot make a virtual environment. Install its package: apt-get install python3-venv" >&2
        exit 1
    }
fi
python3 -m venv "$target"
