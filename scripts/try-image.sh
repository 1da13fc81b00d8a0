#!/usr/bin/env bash
# Builds the image, runs it as docker-compose.yml does without a GPU, and checks what only a build can show. Needs
# Docker with Compose 2.30, and 20 GB of disk. PORT chooses the port.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

image=personaplex-ui
service=without-gpu
compose=(docker compose --project-name personaplex-try)
decoys=(voices/decoy.wav recordings/decoy.wav personaplex_ui/decoy.pyc)
say() { printf '\n== %s\n' "$*"; }
fail() { printf '\n%s\n' "$*" >&2; "${compose[@]}" logs "$service" | tail -40 >&2; exit 1; }

tidy() {
    "${compose[@]}" --profile "$service" down --volumes --timeout 5 >/dev/null 2>&1 || true
    rm -f "${decoys[@]}" personaplex_ui/decoy.py
    rmdir --ignore-fail-on-non-empty recordings
}
trap tidy EXIT
mkdir -p recordings
touch "${decoys[@]}"

say "It builds"
"${compose[@]}" config --quiet
"${compose[@]}" build "$service"

say "It holds what git has of the app, and nothing else"
diff <(git ls-files requirements.txt LICENSE app.py voices personaplex_ui | sort) \
    <(docker run --rm --entrypoint find "$image" . -type f | sed 's,^\./,,' | sort) ||
    fail "The files of the image (>) are not those of the repository (<)."

say "New code does not install the packages again"
touch personaplex_ui/decoy.py
docker build --progress=plain . 2>&1 | grep -A1 'RUN pip install' | grep CACHED ||
    fail "The packages were installed again."

say "It gets healthy by its own health check, on the port that Compose publishes"
"${compose[@]}" up --detach --wait --wait-timeout 240 "$service" || fail "It did not get healthy."
curl --silent --show-error --fail "http://127.0.0.1:${PORT:-7860}/health"

say "It runs as a user who can write what is kept, but not the code"
inside() { "${compose[@]}" exec --no-TTY "$service" "$@"; }
[[ $(inside id -u) == 1000 ]] || fail "It does not run as user 1000."
inside sh -c 'test -w /data/recordings && test -w /data/huggingface' || fail "It cannot write under /data."
inside sh -c '! test -w /app && ! test -w /app/app.py' || fail "It can change its own code."

say "SIGTERM ends it with words, within 5 s"
"${compose[@]}" stop --timeout 5 "$service"
container=$("${compose[@]}" ps --all --quiet "$service")
[[ $(docker inspect --format '{{.State.ExitCode}}' "$container") != 137 ]] || fail "It had to be killed."
"${compose[@]}" logs "$service" | grep 'Application shutdown complete' || fail "It did not close its calls."
