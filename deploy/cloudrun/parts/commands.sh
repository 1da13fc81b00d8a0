# How commands are run, printed and explained when they fail. Sourced by setup.sh.
# shellcheck shell=bash disable=SC2034,SC2153  # the parts share variables

# What is being done just now, for whoever interrupts.
STEP="reading the settings"

say() { printf '%s\n' "$*"; }

# With --dry-run: the command that would be run, under what it is for.
PRINTED=""
print_only() {
    [[ $PRINTED == "$STEP" ]] || say "# $STEP"
    PRINTED="$STEP"
    say "$@"
}

# refuse SENTENCE: nothing was changed, and nothing will be.
refuse() {
    printf '%s\n' "$1" >&2
    exit 2
}

# stop ADVICE: the current step failed. What was made before it stays, and the next run goes on from there.
stop() {
    printf '%s\n' "Stopped while $STEP: $1 Then run it again; what is there already stays." >&2
    exit 1
}

# Commands that take a while run in a process group of their own, which CHILD names.
CHILD=""

interrupted() {
    trap '' INT TERM HUP
    [[ -z $CHILD ]] || kill -TERM -- "-$CHILD" 2>/dev/null || true
    printf '\n%s\n' "Interrupted while $STEP. Run it again; what is there already stays." >&2
    exit 130
}

# The words of a command as one could type them.
typed() {
    local word line=""
    for word in "$@"; do
        if [[ $word =~ ^[A-Za-z0-9_./:=@,+%-]+$ ]]; then
            line="$line $word"
        else
            line="$line '${word//\'/\'\\\'\'}'"
        fi
    done
    printf '%s' "${line# }"
}

# advice_for OUTPUT ADVICE: what to do, from what gcloud said; ADVICE if that tells nothing better.
advice_for() {
    case "$1" in
        *"gcloud auth login"* | *Reauthentication* | *"invalid_grant"* | *"do not currently have an active account"*)
            say "sign in with 'gcloud auth login'." ;;
        *SERVICE_DISABLED* | *"has not been used in project"*)
            say "a service of Google's is not enabled yet; if this script enabled it just now, wait some minutes." ;;
        *[Bb]illing*)
            say "billing is off for the project $PROJECT; link it to an account at https://console.cloud.google.com/billing." ;;
        *[Qq]uota*)
            say "the project lacks quota; for the GPU ask for 'NVIDIA L4 GPUs without zonal redundancy' in $REGION at" \
                "https://console.cloud.google.com/iam-admin/quotas?project=$PROJECT (a new revision starts beside the old" \
                "one, so ask for more than one)." ;;
        *PERMISSION_DENIED* | *"does not have permission"* | *" 403"* | *"does not have "*" access"*)
            say "your account lacks a right in the project $PROJECT; its owner can give you the role Owner or Editor. $2" ;;
        *"Could not resolve"* | *"Unable to find the server"* | *"Failed to establish"* | *"onnection refused"* | \
            *"Network is unreachable"*)
            say "Google Cloud was not reached; check the network." ;;
        *) say "$2" ;;
    esac
}

# until_done FUNCTION ...: runs it beside the script and waits, since bash heeds a signal only between its own commands,
# and in "wait". A group of its own, so that a signal also ends what gcloud, itself a script, has started.
until_done() {
    local code=0
    set -m
    (
        set +m
        "$@"
    ) &
    CHILD=$!
    set +m
    wait "$CHILD" || code=$?
    CHILD=""
    ((code == 0)) || exit "$code"
}

pause() { until_done sleep "$1"; }

# attempt ADVICE gcloud ...: runs it; what it says is shown only if it fails.
attempt() {
    if [[ -n $DRY_RUN ]]; then
        print_only "$(typed "${@:2}")"
        return 0
    fi
    until_done run_quietly "$@"
}

run_quietly() {
    local advice="$1" output
    shift
    if ! output="$("$@" 2>&1 </dev/null)"; then
        printf '%s\n' "$output" >&2
        stop "$(advice_for "$output" "$advice")"
    fi
}

# attempt_live ADVICE gcloud ...: the same, shown as it happens, for what takes minutes.
attempt_live() {
    if [[ -n $DRY_RUN ]]; then
        print_only "$(typed "${@:2}")"
        return 0
    fi
    until_done run_live "$@"
}

run_live() {
    local advice="$1" output
    shift
    # One copy to whoever looks on, one to tell why it failed.
    if ! output="$("$@" 2>&1 </dev/null | copy_to_3)"; then
        stop "$(advice_for "$output" "$advice")"
    fi
} 3>&2

# By the descriptor, not by a path to it: opened again, a log would be emptied and a socket refused.
copy_to_3() {
    local line
    while IFS= read -r line || [[ -n $line ]]; do
        printf '%s\n' "$line"
        printf '%s\n' "$line" >&3
    done
}

# attempt_with VALUE ADVICE gcloud ... --data-file=-: gives VALUE to its input, where neither the list of processes nor
# a log shows it.
attempt_with() {
    if [[ -n $DRY_RUN ]]; then
        print_only "printf %s '***' | $(typed "${@:3}")"
        return 0
    fi
    until_done run_with "$@"
}

run_with() {
    local value="$1" advice="$2" output
    shift 2
    if ! output="$(printf %s "$value" | "$@" 2>&1)"; then
        printf '%s\n' "$output" >&2
        stop "$(advice_for "$output" "$advice")"
    fi
}

# Runs a command: OUT is what it printed, ERR what it said besides, such as warnings.
split_run() {
    local code
    {
        IFS= read -r -d '' ERR
        IFS= read -r -d '' OUT
        IFS= read -r -d '' code
    } < <({ printf '\0%s\0%d\0' "$("$@" </dev/null)" "$?" >&2; } 2>&1)
    return "$code"
}

# For "found": an error with this in it is absence, too.
ABSENT_TOO=""
# A service of Google's that is not enabled has nothing.
NOT_ENABLED="SERVICE_DISABLED|has not been used in project|API .*not enabled on project"

# is_absence ERROR gcloud ...: whether it says that what the command names is not there, and nothing else. Google's code
# tells, and so do gcloud's own words; else the name must stand beside them, since "Python 3.12 was not found" is no answer.
is_absence() {
    local error="$1" word name=""
    shift
    [[ -z $ABSENT_TOO || ! $error =~ $ABSENT_TOO ]] || return 0
    case "$error" in
        *NOT_FOUND* | *" not found: 404"* | *"matched no objects"* | *"Image not found."*) return 0 ;;
    esac
    for word in "$@"; do
        [[ $word == -* ]] || name="$word"
    done
    name="$(printf %s "$name" | sed 's/[^A-Za-z0-9:_\/-]/./g')"
    local around="[][:space:]'\"\`(),:.[]" between=$'[^\n]{0,60}' words="(not found|annot find|does not exist)"
    local before="$words$between$around$name($around|\$)" after="(^|$around|/)$name($between)?$around$words"
    [[ $error =~ $before || $error =~ $after ]]
}

# found ADVICE gcloud ...: whether it is there; OUT: what the command printed. Any other failure than "not found" stops.
# With --dry-run nothing is there.
found() {
    local advice="$1"
    shift
    OUT=""
    if [[ -n $DRY_RUN ]]; then
        print_only "$(typed "$@")    # is it there?"
        return 1
    fi
    split_run "$@" && return 0
    ! is_absence "$ERR" "$@" || return 1
    printf '%s\n' "$ERR" >&2
    stop "$(advice_for "$ERR" "$advice")"
}

is_there() { say "$1: is there"; }
made() { [[ -n $DRY_RUN ]] || say "$1: ${2:-made}"; }
takes_a_while() { [[ -n $DRY_RUN ]] || say "$1"; }
