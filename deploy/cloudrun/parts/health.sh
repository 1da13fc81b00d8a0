# Waits until calls can be taken, and tells how far it is.
# shellcheck shell=bash disable=SC2034,SC2153  # the parts share variables

ASK_EVERY_SEC=10

# text_of FIELD: of the JSON in ANSWER, which has one level and no other strings that look like it.
text_of() { printf %s "$ANSWER" | sed -nE "s/.*\"$1\": ?\"(([^\"\\]|\\\\.)*)\".*/\1/p"; }

# ask_health: sets CODE and ANSWER. With API_KEY a closed server tells more than its status; the key goes through curl's
# input.
ask_health() {
    local output config="" key="$API_KEY"
    # As curl's file of options wants it.
    key="${key//\\/\\\\}"
    key="${key//\"/\\\"}"
    [[ -z $API_KEY ]] || config="header = \"Authorization: Bearer $key\""
    # Not $(...), in which bash would heed no signal.
    IFS= read -r -d '' output < <(printf '%s\n' "$config" |
        curl --silent --show-error --max-time 15 --write-out '\n%{http_code}' --config - "$ADDRESS/health" 2>&1 &&
        printf '\0') || output=""
    if [[ -n $output ]]; then
        CODE="${output##*$'\n'}"
        ANSWER="${output%$'\n'*}"
    else
        CODE=000
        ANSWER=""
    fi
}

wait_until_healthy() {
    local left=$((WAIT_MINUTES * 60 / ASK_EVERY_SEC)) told="" now progress
    STEP="waiting until calls can be taken"
    [[ -n $WAIT ]] || return 0
    if [[ -n $DRY_RUN ]]; then
        print_only "$(typed curl "$ADDRESS/health")    # every $ASK_EVERY_SEC s, for $WAIT_MINUTES minutes at most"
        return 0
    fi
    say "Waiting until calls can be taken, $WAIT_MINUTES minutes at most; it goes on without this script, too"
    while :; do
        ask_health
        case "$CODE" in
            200)
                say "Calls can be taken"
                return 0
                ;;
            503) now="$(text_of status)" ;;
            000) now="no answer yet" ;;
            403) now="HTTP 403: the service is not public; an organisation's policy may forbid allUsers as Cloud Run Invoker" ;;
            *) now="HTTP $CODE" ;;
        esac
        if [[ $CODE == 503 ]]; then
            progress="$(printf %s "$ANSWER" | sed -nE 's/.*"progress": ?([0-9.]+).*/\1/p')"
            now="$now: $(text_of message)${progress:+ ($(awk -v share="$progress" 'BEGIN { printf "%.0f", 100 * share }') %)}"
            [[ $now != failed:* ]] || stop "the app says: $(text_of message)"
        fi
        [[ $now == "$told" ]] || say "    $now"
        told="$now"
        left=$((left - 1))
        ((left > 0)) || stop "it was not ready within $WAIT_MINUTES minutes ($now); see its log at https://console.cloud.google.com/run/detail/$REGION/$SERVICE/logs?project=$PROJECT."
        pause "$ASK_EVERY_SEC"
    done
}
