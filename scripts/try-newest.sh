#!/usr/bin/env bash
# Says what breaks with the newest release of a library, whatever requirements.in allows: a summary in Markdown.
#
#   scripts/try-newest.sh LIBRARY [PYTHON]
#
# Installs it into the environment of PYTHON (python), which has requirements-dev.txt, and leaves it there. ARGS goes
# to pytest. Exits with 1 where something breaks.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

library=${1:?a library, as in torch}
python=${2:-python}
version() { "$python" -c 'import sys; from importlib.metadata import version; print(version(sys.argv[1]))' "$library"; }
quote() { printf '%s\n' '~~~' "$1" '~~~' ''; }

pinned=$(version)
"$python" -m pip install --quiet --disable-pip-version-check --upgrade "$library" >&2
printf '## %s %s, pinned at %s\n\n' "$library" "$(version)" "$pinned"

broken=0
if ! conflicts=$("$python" -m pip check 2>&1); then
    printf 'Not allowed by:\n\n'
    quote "$conflicts"
fi
if ! said=$("$python" -c 'import moshi.models, personaplex_ui.app.server' 2>&1); then
    printf 'The app cannot be imported:\n\n'
    quote "$(tail -5 <<<"$said")"
    broken=1
fi
# A warning is not a failure here: a newer library has new ones.
read -ra more <<<"${ARGS:-}"
if ! said=$("$python" -m pytest -q -W default --tb=short -p no:cacheprovider -n logical --ignore tests/browser \
    --ignore tests/e2e ${more[@]+"${more[@]}"} 2>&1); then
    printf 'Tests fail: %s. Their errors, the most common first:\n\n' "$(tail -1 <<<"$said")"
    quote "$(grep -E '^E   +[A-Za-z_.]+: ' <<<"$said" | cut -c1-200 | sort | uniq -c | sort -rn | head -20)"
    printf 'The tests:\n\n'
    quote "$(grep -E '^(FAILED|ERROR) ' <<<"$said" | cut -c1-200 | head -50)"
    broken=1
fi
[[ $broken -ne 0 ]] || printf 'Nothing breaks.\n'
exit $broken
