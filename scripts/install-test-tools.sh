#!/usr/bin/env bash
# Installs the Debian packages that the tests drive: a browser, a speech synthesiser, sound converters.
# Where it may not install, it says what is missing; the tests that need it are then skipped.
set -euo pipefail

missing=()
for tool in chromium espeak-ng ffmpeg sox; do # each is a package and its command
    command -v "$tool" >/dev/null || missing+=("$tool")
done
[[ ${#missing[@]} -eq 0 ]] && exit 0

as_root=()
[[ $EUID -eq 0 ]] || as_root=(sudo --non-interactive)
if command -v apt-get >/dev/null && "${as_root[@]}" true 2>/dev/null; then
    "${as_root[@]}" apt-get update --quiet
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install --quiet --yes --no-install-recommends "${missing[@]}"
else
    echo "Missing for some tests, to be installed as root: apt-get install ${missing[*]}" >&2
    [[ -z "${REQUIRE_ALL_TESTS:-}" ]]
fi
