#!/usr/bin/env bash
# Installs the Debian packages that the tests drive: two browsers, two speech synthesisers, sound converters, two proxies,
# and Node.js for the tests of the page's modules.
# If it may not install, it says what is missing; the tests that need it are then skipped.
set -euo pipefail

missing=()
for tool in chromium firefox-esr espeak-ng flite ffmpeg sox nginx haproxy; do # each is a package and its command
    command -v "$tool" >/dev/null || [[ -x /usr/sbin/$tool ]] || missing+=("$tool")
done
command -v node >/dev/null || missing+=(nodejs)
command -v ip >/dev/null || missing+=(iproute2) # a network that drops UDP
# The Node.js that comes with Playwright and pyright needs it, and a minimal Debian lacks it.
if [[ -z $(find /lib /usr/lib -name 'libatomic.so.1' -print -quit 2>/dev/null) ]]; then
    missing+=(libatomic1)
fi
[[ ${#missing[@]} -eq 0 ]] && exit 0

if ! "$(dirname "${BASH_SOURCE[0]}")/apt-install.sh" "${missing[@]}"; then
    echo "Missing for some tests, to be installed as root: apt-get install ${missing[*]}" >&2
    [[ -z "${REQUIRE_ALL_TESTS:-}" ]]
fi
