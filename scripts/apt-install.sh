#!/usr/bin/env bash
# Installs Debian packages as root, or with sudo if that needs no password; fails if neither is possible.
set -euo pipefail

as_root=()
[[ $EUID -eq 0 ]] || as_root=(sudo --non-interactive)
command -v apt-get >/dev/null || exit 1
"${as_root[@]}" true 2>/dev/null || exit 1
"${as_root[@]}" apt-get update --quiet
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install --quiet --yes --no-install-recommends "$@"
