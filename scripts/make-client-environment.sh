#!/usr/bin/env bash
# Makes .venv-clients, in which the tests run other people's clients. A stamp there holds the hash of its
# inputs: if nothing has changed, nothing is done. If it cannot be made (no network), it says so; the tests that need
# it are then skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

requirements=scripts/client-requirements.txt
folder=.venv-clients
python=.venv/bin/python
stamp=$folder/.made-$({ cat "$requirements"; "$python" --version; } | sha256sum | cut -c1-16)
[[ -e $stamp ]] && exit 0

echo "Installing $requirements into $folder"
rm -rf "$folder"
# Wheels only, so that nothing is compiled; opuslib is Python alone and has none.
options=(--quiet --no-deps --only-binary :all: --no-binary opuslib -r "$requirements")
if command -v uv >/dev/null; then
    make_it() {
        uv venv --quiet --python "$python" "$folder" && uv pip install --python "$folder/bin/python" "${options[@]}"
    }
else
    make_it() {
        "$python" -m venv "$folder" && "$folder/bin/python" -m pip install --disable-pip-version-check "${options[@]}"
    }
fi
if make_it; then
    touch "$stamp"
else
    echo "Missing for the tests of other people's clients: $folder could not be made (is there a network?)" >&2
    [[ -z "${REQUIRE_ALL_TESTS:-}" ]]
fi
