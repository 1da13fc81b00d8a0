# The service itself: how it is deployed, and what it costs.
# shellcheck shell=bash disable=SC2034,SC2153  # the parts share variables

# List prices in US dollars a second, in regions of tier 1 (README.md has date and source): an L4 without zonal redundancy,
# a vCPU and a GiB of a service whose CPU is always allocated.
GPU_PRICE=0.0001867
CPU_PRICE=0.000018
MEMORY_PRICE=0.000002

# Its address is known before it is there, so SERVER_URL goes with the first revision: setting it in a second one would
# need a second GPU for a moment, and start the model twice.
service_url() { printf 'https://%s-%s.%s.run.app' "$SERVICE" "$PROJECT_NUMBER" "$REGION"; }

# Sets EXISTING: its label "setup" and revisions. Before all that takes long, since another service of that name stops it.
look_for_service() {
    EXISTING=""
    STEP="looking for the service $SERVICE"
    if found "ask the project's owner for the role Cloud Run Admin." gcloud run services describe "$SERVICE" \
        "--region=$REGION" \
        "--format=csv[no-heading](metadata.labels.made_by,metadata.labels.setup,status.latestCreatedRevisionName,status.latestReadyRevisionName)" \
        "${ALWAYS[@]}"; then
        [[ ${OUT%%,*} == "${MADE_BY#*=}" ]] ||
            stop "the project has a service $SERVICE that this script did not make; set SERVICE to another name."
        EXISTING="${OUT#*,}"
    fi
}

deploy_service() {
    local options hash
    ADDRESS="${SERVER_URL:-$(service_url)}"
    # shellcheck disable=SC2054  # the commas belong to options
    options=(
        "--region=$REGION" "--image=$IMAGE" --port=7860 --allow-unauthenticated "--service-account=$RUNNER"

        # The machine. A GPU needs at least 4 CPUs, and the CPU must also run between requests, for the sound.
        --gpu=1 --gpu-type=nvidia-l4 --no-gpu-zonal-redundancy "--cpu=$CPU" "--memory=$MEMORY"
        --no-cpu-throttling --execution-environment=gen2

        # One process holds its calls, so there is one instance. Each open page holds requests open, at most an hour.
        "--min-instances=$MIN_INSTANCES" --max-instances=1 --session-affinity --concurrency=500 --timeout=60m

        # The page is up before the model is: wait for the port, not for /health, which says 503 until then.
        --startup-probe=tcpSocket.port=7860,periodSeconds=10,failureThreshold=24,timeoutSeconds=5

        # Updated, not set, since that would remove what was set by hand.
        "--update-env-vars=^$BETWEEN^$(variables)"
    )
    if [[ $WEIGHTS == bucket ]]; then
        # The disk of an instance is its memory, so the weights are read from the bucket.
        # shellcheck disable=SC2054
        options+=(
            "--add-volume=name=weights,type=cloud-storage,bucket=$BUCKET,readonly=true"
            --add-volume-mount=volume=weights,mount-path=/weights
        )
    fi
    [[ -z $SECRET_OPTION ]] || options+=("--update-secrets=$SECRET_OPTION")
    hash="$(printf '%s\n' "${options[@]}" | sha256)"
    # What an earlier run with WEIGHTS=bucket has mounted.
    [[ $WEIGHTS == bucket || -z $EXISTING ]] || options+=(--clear-volume-mounts --clear-volumes)

    local label="${EXISTING%%,*}" revisions="${EXISTING#*,}"
    if [[ $label == "$hash" && ${revisions%%,*} == "${revisions#*,}" ]]; then
        is_there "Service $SERVICE with these settings"
        return 0
    fi
    STEP="deploying the service $SERVICE"
    attempt_live "see its log at https://console.cloud.google.com/run/detail/$REGION/$SERVICE/logs?project=$PROJECT." \
        gcloud run deploy "$SERVICE" "${options[@]}" "--update-labels=setup=$hash,$MADE_BY" "${ALWAYS[@]}"
    made "Service $SERVICE" deployed
}

# The app's variables, divided by BETWEEN.
variables() {
    local name list="SERVER_URL=$ADDRESS${BETWEEN}TRUSTED_PROXIES=$TRUSTED_PROXIES"
    if [[ $WEIGHTS == bucket ]]; then
        list="$list${BETWEEN}HF_REPO=/weights/$WEIGHTS_NAME"
    else
        list="$list${BETWEEN}HF_REPO=$HF_REPO"
    fi
    # No UDP gets in: without a TURN server pages call over the websocket at once, instead of trying for five seconds.
    # Said in either case, since an earlier run may have said the other.
    if [[ -z $BROWSER_CALLS ]]; then
        BROWSER_CALLS=websocket
        [[ -z $TURN_URLS && " $KEPT " != *" TURN_CREDENTIAL "* ]] || BROWSER_CALLS=webrtc
    fi
    for name in $VARIABLES; do
        # The copy in the bucket is of the revision already.
        [[ $name != HF_REVISION || $WEIGHTS == hub ]] || continue
        [[ -z ${!name} ]] || list="$list$BETWEEN$name=${!name}"
    done
    printf %s "$list"
}

report() {
    say ""
    say "The page:      $ADDRESS"
    if [[ " $KEPT " == *" API_KEY "* ]]; then
        say "The operator:  $ADDRESS/operator, which asks for API_KEY"
    else
        say "The operator:  the log has a link that works once"
    fi
    if [[ " $KEPT " == *" TWILIO_AUTH_TOKEN "* ]]; then
        say "Twilio:        'A call comes in', Webhook, HTTP POST: $ADDRESS/twilio/inbound"
        say "               'Call status changes', HTTP POST: $ADDRESS/twilio/status"
    fi
    [[ " $KEPT " == *" APP_PASSWORD "* ]] || say "Open:          anybody with the address can call, until APP_PASSWORD is set"
    awk -v gpu=$GPU_PRICE -v cpu=$CPU_PRICE -v memory=$MEMORY_PRICE -v cpus="$CPU" -v gib="${MEMORY%Gi}" \
        -v always="$MIN_INSTANCES" 'BEGIN {
            hour = 3600 * (gpu + cpus * cpu + gib * memory)
            printf "Cost:          about %.2f USD an hour%s; a day %.0f, a month of 730 hours %.0f, when it never sleeps\n",
                hour, always == 1 ? ", also while nobody calls" : " while it is awake", 24 * hour, 730 * hour
            printf "               (list prices: L4 %.2f, %d vCPU %.2f, %d GiB %.2f an hour; besides bucket, image, traffic)\n",
                3600 * gpu, cpus, 3600 * cpus * cpu, gib, 3600 * gib * memory
        }'
    say "To end it:     deploy/cloudrun/setup.sh --delete"
}
