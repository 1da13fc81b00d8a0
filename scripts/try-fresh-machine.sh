#!/usr/bin/env bash
# Both commands of the README on a minimal Debian: `make demo` until the app is healthy, then `make test`.
#
#   [ARGS=...] scripts/try-fresh-machine.sh bookworm|trixie [FOLDER]
#
# Makes the machine with debootstrap in FOLDER (a temporary one, removed at the end), with Python 3, make and nothing
# else, and clones this checkout's HEAD into it. ARGS goes to pytest, as for make; without it all tests run. Needs
# root, debootstrap, 20 GB of disk, and a registry of Python packages. This machine's network settings (proxies,
# certificates) are copied.
set -euo pipefail

suite=${1:?bookworm or trixie}
given=${2:-}
root=${given:-$(mktemp -d "/var/tmp/fresh-$suite-XXXXXX")}
checkout=$(git -C "$(dirname "${BASH_SOURCE[0]}")" rev-parse --show-toplevel)
port=${PORT:-7860}
certificates=/usr/local/share/network.crt # not where the ca-certificates package writes
say() { printf '\n== %s\n' "$*"; }

unmount() {
    local place
    for place in dev/pts dev/shm dev sys proc; do
        mountpoint -q "$root/$place" && umount --lazy "$root/$place"
    done
    [[ -n "$given" ]] || rm -rf --one-file-system "$root"
}
trap unmount EXIT

inside() { # a command in the machine, with a login's environment and what the network needs
    local -a network=()
    local name
    for name in $(compgen -e | grep -iE '^(https?|all|no)_proxy$|^PIP_INDEX_URL$' || true); do
        network+=("$name=${!name}")
    done
    [[ -z "${PIP_CERT:-}" ]] || network+=("PIP_CERT=$certificates")
    chroot "$root" env -i HOME=/root TERM=dumb LANG=C.UTF-8 \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin ${network[@]+"${network[@]}"} "$@"
}

if [[ ! -x "$root/usr/bin/make" ]]; then
    say "A minimal Debian $suite with python3 and make"
    debootstrap --variant=minbase --include=python3,make "$suite" "$root" ${MIRROR:+"$MIRROR"} >"$root.log" 2>&1 ||
        { tail -20 "$root.log" >&2; exit 1; }
fi
for file in /etc/resolv.conf /etc/hosts /etc/apt/apt.conf.d/*proxy* /etc/apt/apt.conf.d/*cert*; do
    [[ ! -f "$file" ]] || install -D -m 644 "$file" "$root$file"
done
if [[ -n "${PIP_CERT:-}" ]]; then install -m 644 "$PIP_CERT" "$root$certificates"; fi
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys" && mount --make-rslave "$root/sys"
mount --rbind /dev "$root/dev" && mount --make-rslave "$root/dev"

rm -rf "$root/root/personaplex_ui"
git clone --quiet --no-hardlinks "$checkout" "$root/root/personaplex_ui"
say "$(inside python3 --version), $(inside make --version | head -1), $(inside cat /etc/debian_version)"

say "make demo"
rm -f "$root/root/demo.pid"
inside setsid bash -c "echo \$\$ >/root/demo.pid; cd /root/personaplex_ui; exec make demo PORT=$port" \
    >"$root/root/demo.log" 2>&1 &
demo=$!
ask="import urllib.request as web; web.build_opener(web.ProxyHandler({})).open('http://127.0.0.1:$port/health', timeout=4)"
healthy=
for _ in $(seq 900); do
    kill -0 "$demo" 2>/dev/null || break
    if inside python3 -c "$ask" 2>/dev/null; then
        healthy=yes
        break
    fi
    sleep 1
done
tail -3 "$root/root/demo.log"
kill -TERM -- "-$(<"$root/root/demo.pid")" 2>/dev/null || true
wait "$demo" 2>/dev/null || true
[[ -n "$healthy" ]] || { say "make demo: the app did not become healthy"; tail -40 "$root/root/demo.log"; exit 1; }
say "make demo: healthy"

say "make test"
inside env REQUIRE_ALL_TESTS=1 ARGS="${ARGS:-}" bash -c "cd /root/personaplex_ui && make test"
say "make test: passed on Debian $suite"
