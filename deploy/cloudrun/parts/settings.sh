# Where the settings come from, and whether they fit. Sourced by setup.sh.
# shellcheck shell=bash disable=SC2034,SC2153  # the parts share variables

# Where Cloud Run has L4s: https://cloud.google.com/run/docs/configuring/services/gpu. The last two by invitation.
REGIONS="europe-west4 europe-west1 us-east4 asia-southeast1 us-central1 asia-south1"

# The app's settings that are secret, and all others that make sense there. What names a place or a port of this machine
# is left out: PORT, HOST, DEVICE, folders, files.
SECRETS="HF_TOKEN APP_PASSWORD API_KEY TWILIO_AUTH_TOKEN TURN_CREDENTIAL LLM_API_KEY STT_API_KEY TTS_API_KEY"
VARIABLES="ENGINE MAX_CALLS MAX_WAITING MAX_CALL_SECONDS BUSY_CALL_SECONDS VISITOR_MINUTES RECORDINGS_KEEP_HOURS
    QUANTIZE KV_CACHE PIN_PERSONA PERSONA_CACHE_MB CAPTIONS CAPTIONS_REPO CAPTIONS_REVISION HF_REVISION
    DEFAULT_VOICE_PROMPT DEFAULT_TEXT_PROMPT MAX_UPLOAD_MB ALLOWED_ORIGINS MAX_CALLS_PER_ADDRESS CALLS_PER_MINUTE
    UPLOAD_MB_PER_HOUR TWILIO_ACCOUNT_SID TWILIO_PHONE_NUMBER PHONE_PERSONAS PHONE_RECORD PHONE_ANNOUNCEMENT
    OUTBOUND_DAILY_LIMIT HUMAN_NUMBER HUMAN_PHRASES HUMAN_HOURS HUMAN_TIMEZONE HUMAN_DAILY_LIMIT BROWSER_CALLS
    TURN_URLS TURN_USERNAME LLM_BASE_URL LLM_MODEL STT_BASE_URL STT_MODEL TTS_BASE_URL TTS_MODEL TTS_VOICE
    ASK_PHRASES ASK_FILLER ASK_SECONDS LOG_LEVEL LOG_FORMAT"
# Taken from the environment alone: in .env they are this machine's. The next ones are the script's own.
ONLY_FROM_ENVIRONMENT="SERVER_URL TRUSTED_PROXIES"
OF_THE_SCRIPT="PROJECT REGION SERVICE BUCKET WEIGHTS HF_REPO CPU MEMORY MIN_INSTANCES WAIT_MINUTES"

# Prints what the file .env says of the variable $1, as the app reads it: the last line counts, quotes are taken off,
# nothing is expanded. Fails for what would need more: backslashes in quotes, and quotes over several lines.
value_in_file() {
    local wanted="$1" line name value="" quote found=""
    while IFS= read -r line || [[ -n $line ]]; do
        line="${line#$'\xef\xbb\xbf'}"
        line="${line%$'\r'}"
        line="${line#"${line%%[![:space:]]*}"}"
        line="${line#export }"
        name="${line%%=*}"
        name="${name%"${name##*[![:space:]]}"}"
        [[ $name == "$wanted" && $line == *=* ]] || continue
        value="${line#*=}"
        value="${value#"${value%%[![:space:]]*}"}"
        quote="${value:0:1}"
        if [[ $quote == "'" || $quote == '"' ]]; then
            value="${value:1}"
            [[ $value == *"$quote"* ]] || return 1
            value="${value%%"$quote"*}"
            [[ $value != *\\* ]] || return 1
        else
            value="${value%%[[:space:]]#*}"
            [[ $value != \#* ]] || value=""
            value="${value%"${value##*[![:space:]]}"}"
        fi
        found="$value"
    done
    printf %s "$found"
}

read_settings() {
    local name value file="${ENV_FILE:-.env}"
    for name in $SECRETS $VARIABLES $OF_THE_SCRIPT; do
        if [[ -z ${!name:-} && -r $file ]]; then
            value="$(value_in_file "$name" <"$file")" || refuse \
                "$name in $file has a backslash or several lines, which only the app reads; give it in the environment."
            printf -v "$name" %s "$value"
        fi
    done
    # Without spaces and line ends around it, which come along when a value is copied or read from a file.
    for name in $SECRETS $VARIABLES $OF_THE_SCRIPT $ONLY_FROM_ENVIRONMENT; do
        value="${!name:-}"
        value="${value#"${value%%[![:space:]]*}"}"
        printf -v "$name" %s "${value%"${value##*[![:space:]]}"}"
    done
    while [[ $SERVER_URL == */ ]]; do SERVER_URL="${SERVER_URL%/}"; done
    # gcloud and curl need not know them.
    # shellcheck disable=SC2086,SC2163
    export -n $SECRETS

    ASK_REGION=""
    [[ -n $REGION ]] || ASK_REGION=yes
    REGION="${REGION:-europe-west4}"
    SERVICE="${SERVICE:-personaplex}"
    WEIGHTS="${WEIGHTS:-bucket}"
    HF_REPO="${HF_REPO:-nvidia/personaplex-7b-v1}"
    CPU="${CPU:-8}"
    MEMORY="${MEMORY:-32Gi}"
    MIN_INSTANCES="${MIN_INSTANCES:-1}"
    WAIT_MINUTES="${WAIT_MINUTES:-45}"
    WEIGHTS_NAME="${HF_REPO##*/}${HF_REVISION:+-$HF_REVISION}"
    # Cloud Run's front end reaches the container from link-local addresses, and names the client in a header.
    TRUSTED_PROXIES="${TRUSTED_PROXIES:-169.254.0.0/16}"
}

on_terminal() { [[ -n $QUESTIONS && -t 0 && -t 2 ]]; }

# ask NAME QUESTION [secret]: Enter leaves it as it is.
ask() {
    local answer=""
    [[ -z ${!1} ]] || return 0
    if [[ ${3:-} == secret ]]; then
        IFS= read -r -s -p "$2: " answer || true
        printf '\n' >&2
    else
        IFS= read -r -p "$2: " answer || true
    fi
    printf -v "$1" %s "$answer"
}

ask_for_missing() {
    on_terminal || return 0
    local region=""
    ask PROJECT "The Google Cloud project"
    if [[ -n $ASK_REGION ]]; then
        IFS= read -r -p "The region, one of $REGIONS (Enter: $REGION): " region || true
        REGION="${region:-$REGION}"
    fi
    say "Enter skips a question; what was set by an earlier run stays." >&2
    ask HF_TOKEN "A Hugging Face token of an account that has accepted the licence of $HF_REPO" secret
    ask APP_PASSWORD "A password for the page (without one it is open to everybody)" secret
    ask API_KEY "A key for the operator and for programs" secret
    ask TWILIO_ACCOUNT_SID "For telephone calls, Twilio's account SID"
    if [[ -n $TWILIO_ACCOUNT_SID ]]; then
        ask TWILIO_AUTH_TOKEN "Twilio's auth token" secret
        ask TWILIO_PHONE_NUMBER "Your number at Twilio, as in +15551234567"
    fi
    ask TURN_URLS "TURN servers (not needed: without one, pages call over their web connection)"
    if [[ -n $TURN_URLS ]]; then
        ask TURN_USERNAME "The user of the TURN server"
        ask TURN_CREDENTIAL "The TURN server's password" secret
    fi
}

# Whether there is a value for the secret $1, from the settings or kept by an earlier run. A dry run asks nobody, and so
# it takes any as known.
is_known() {
    [[ -z ${!1} && -z $DRY_RUN ]] || return 0
    STEP="looking for the secret $(secret_id "$1")"
    [[ -n $PROJECT ]] && ABSENT_TOO="$NOT_ENABLED" found "correct PROJECT." gcloud secrets versions describe latest \
        "--secret=$(secret_id "$1")" "--format=csv[no-heading](name,state)" --quiet "--project=$PROJECT" &&
        [[ $OUT == *,ENABLED || $OUT == *,enabled ]]
}

# Names in one sentence all that is missing.
check_settings() {
    local missing=""
    [[ -z $PROJECT ]] || check_values
    [[ -n $PROJECT ]] || missing="$missing, PROJECT (the Google Cloud project)"
    is_known HF_TOKEN ||
        missing="$missing, HF_TOKEN (a Hugging Face token of an account that has accepted the licence of $HF_REPO)"
    if [[ $TURN_URLS == *turn* ]]; then
        [[ -n $TURN_USERNAME ]] || missing="$missing, TURN_USERNAME (the user of the TURN server)"
        is_known TURN_CREDENTIAL || missing="$missing, TURN_CREDENTIAL (its password)"
    fi
    if [[ -n $TWILIO_ACCOUNT_SID$TWILIO_PHONE_NUMBER ]]; then
        is_known TWILIO_AUTH_TOKEN || missing="$missing, TWILIO_AUTH_TOKEN (on the first page of Twilio's console)"
    fi
    [[ -z $missing ]] || refuse "Missing: ${missing#, }. Set it in the environment or in .env, or run this on a terminal."
}

check_names() {
    local project='^[a-z][a-z0-9-]{4,28}[a-z0-9]$' service='^[a-z][a-z0-9-]{0,22}[a-z0-9]$'
    [[ $PROJECT =~ $project ]] || refuse "PROJECT is no project id: 6 to 30 small letters, digits and hyphens, as in my-project-123."
    [[ $SERVICE =~ $service ]] || refuse "SERVICE must be 2 to 24 small letters, digits and hyphens, as in personaplex."
    [[ " $REGIONS " == *" $REGION "* ]] || refuse "REGION is $REGION, where Cloud Run has no L4; take one of ${REGIONS// /, }."
    BUCKET="${BUCKET:-$PROJECT-$SERVICE}"
}

check_values() {
    local name
    check_names
    # A file of this machine is not in the image.
    [[ ! -f $PHONE_PERSONAS ]] || PHONE_PERSONAS="$(<"$PHONE_PERSONAS")"
    [[ -z $PHONE_PERSONAS || $PHONE_PERSONAS == *"{"* ]] || refuse "PHONE_PERSONAS names a file that is not here."
    [[ $WEIGHTS == bucket || $WEIGHTS == hub ]] || refuse "WEIGHTS must be bucket or hub."
    [[ $HF_REPO =~ ^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$ ]] || refuse "HF_REPO must name a repository of the hub, as in nvidia/personaplex-7b-v1."
    [[ $CPU =~ ^[48]$ && $MEMORY =~ ^(16|32)Gi$ ]] || refuse "An L4 goes with CPU=4 or 8 and MEMORY=16Gi or 32Gi."
    [[ $WEIGHTS != hub || $MEMORY == 32Gi ]] || refuse "WEIGHTS=hub needs MEMORY=32Gi, since the weights then lie in memory."
    [[ $MIN_INSTANCES =~ ^[01]$ ]] || refuse "MIN_INSTANCES must be 1 (always on) or 0 (asleep while nobody is there)."
    [[ $WAIT_MINUTES =~ ^[1-9][0-9]{0,2}$ ]] || refuse "WAIT_MINUTES must be 1 to 999."
    # In tens, also with a zero in front.
    if [[ -n $MAX_CALL_SECONDS ]] && ! { [[ $MAX_CALL_SECONDS =~ ^[0-9]{1,6}$ ]] &&
        ((10#$MAX_CALL_SECONDS >= 15 && 10#$MAX_CALL_SECONDS < 3600)); }; then
        refuse "MAX_CALL_SECONDS must be 15 or more, and below 3600: Cloud Run ends every request after an hour, and a call is one."
    fi
    [[ -z $SERVER_URL || $SERVER_URL =~ ^https?://[^/]+ ]] || refuse "SERVER_URL must be an address, as in https://talk.example.org."
    for name in $SECRETS; do
        [[ ${!name} != *$'\n'* && ${!name} != *$'\r'* ]] || refuse "$name has several lines; give it as one."
    done
    for name in $VARIABLES $ONLY_FROM_ENVIRONMENT; do
        [[ ${!name} != *"$BETWEEN"* ]] || refuse "$name contains $BETWEEN, with which gcloud's list of variables is divided."
    done
}

# Divides variables in gcloud's option: their values have commas, semicolons and colons.
BETWEEN="~~"
