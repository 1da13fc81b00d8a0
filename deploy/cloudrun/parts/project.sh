# The project and what lies in it: services, quota, accounts with their rights, image repository, bucket.
# shellcheck shell=bash disable=SC2034,SC2153  # the parts share variables

SERVICES="run.googleapis.com cloudbuild.googleapis.com artifactregistry.googleapis.com secretmanager.googleapis.com
    iam.googleapis.com storage.googleapis.com cloudquotas.googleapis.com"
L4_QUOTA=NvidiaL4GpuAllocNoZonalRedundancyPerProjectRegion

check_tools() {
    local tool
    [[ -n $DRY_RUN ]] && return 0
    for tool in gcloud curl; do
        command -v "$tool" >/dev/null || refuse "$tool is not installed; gcloud comes with https://cloud.google.com/sdk/docs/install."
    done
}

check_sign_in() {
    STEP="looking who is signed in"
    if found "run 'gcloud auth login'." gcloud auth list --filter=status:ACTIVE "--format=value(account)" && [[ -n $OUT ]]; then
        SIGNED_IN="$OUT"
    elif [[ -z $DRY_RUN ]]; then
        stop "nobody is signed in; run 'gcloud auth login'."
    fi
}

# What the names are, once the settings are known.
name_all() {
    [[ -n $DRY_RUN ]] || say "Signed in as $SIGNED_IN, project $PROJECT, region $REGION"
    RUNNER="$SERVICE-run@$PROJECT.iam.gserviceaccount.com"
    BUILDER="$SERVICE-build@$PROJECT.iam.gserviceaccount.com"
    REPOSITORY="$REGION-docker.pkg.dev/$PROJECT/$SERVICE"
    ALWAYS=(--quiet "--project=$PROJECT")
}

find_project() {
    STEP="looking for the project $PROJECT"
    PROJECT_NUMBER="PROJECT_NUMBER"
    if found "make the project at https://console.cloud.google.com, or correct PROJECT." \
        gcloud projects describe "$PROJECT" "--format=value(projectNumber)"; then
        PROJECT_NUMBER="$OUT"
    elif [[ -z $DRY_RUN ]]; then
        stop "there is no project $PROJECT, or this account may not see it; correct PROJECT."
    fi
    # Who may deploy may not always see this; then the next steps tell.
    if [[ -z $DRY_RUN ]] && split_run gcloud billing projects describe "$PROJECT" "--format=value(billingEnabled)" &&
        [[ $OUT == False ]]; then
        stop "billing is off for the project $PROJECT; link it to an account at https://console.cloud.google.com/billing."
    fi
}

enable_services() {
    local service missing=() enabled=""
    STEP="looking which services are enabled"
    if found "ask the project's owner for the role Service Usage Viewer." \
        gcloud services list --enabled "--format=value(config.name)" "${ALWAYS[@]}"; then
        enabled=" ${OUT//$'\n'/ } "
    fi
    for service in $SERVICES; do
        [[ $enabled == *" $service "* ]] || missing+=("$service")
    done
    if ((${#missing[@]} == 0)); then
        is_there "Services"
        return 0
    fi
    STEP="enabling the services"
    attempt "ask the project's owner for the role Service Usage Admin." gcloud services enable "${missing[@]}" "${ALWAYS[@]}"
    made "Services" "enabled ${#missing[@]}"
}

# Told beforehand, since the image takes a quarter of an hour; but not decided here, since a project that pays gets its
# first three L4s of a region with its first deployment.
check_gpu_quota() {
    local line quota=""
    STEP="looking for the quota of L4 GPUs"
    if [[ -n $DRY_RUN ]]; then
        print_only "$(typed gcloud beta quotas info describe $L4_QUOTA --service=run.googleapis.com "${ALWAYS[@]}")"
        return 0
    fi
    if split_run gcloud beta quotas info describe $L4_QUOTA --service=run.googleapis.com \
        "--flatten=dimensionsInfos[].applicableLocations[]" \
        "--format=csv[no-heading](dimensionsInfos.applicableLocations,dimensionsInfos.details.value)" "${ALWAYS[@]}"; then
        while IFS= read -r line; do
            [[ ${line%%,*} != "$REGION" ]] || quota="${line#*,}"
        done <<<"$OUT"
    fi
    case "$quota" in
        "") say "Quota of L4 GPUs: not known beforehand; the deployment will tell" ;;
        0) say "Quota of L4 GPUs in $REGION: 0 so far. A paid project gets some with its first deployment; if the" \
            "deployment fails for it, ask for 'NVIDIA L4 GPUs without zonal redundancy' at" \
            "https://console.cloud.google.com/iam-admin/quotas?project=$PROJECT" ;;
        1) say "Quota of L4 GPUs in $REGION: 1. A later deployment starts a second one beside it: ask for 2 or more" ;;
        *) is_there "Quota of $quota L4 GPUs" ;;
    esac
}

# What carries this was made here, and only that is deleted again. On accounts, which have no labels, it is the description.
MADE_BY=made_by=personaplex-setup

make_accounts() {
    make_account "$RUNNER" "Runs the service $SERVICE"
    make_account "$BUILDER" "Builds the image of $SERVICE and fetches its weights"
}

make_account() {
    STEP="making the account $1"
    if found "ask the project's owner for the role Service Account Admin." \
        gcloud iam service-accounts describe "$1" "--format=value(email)" "${ALWAYS[@]}"; then
        is_there "Account ${1%%@*}"
    else
        attempt "ask the project's owner for the role Service Account Admin." \
            gcloud iam service-accounts create "${1%%@*}" "--display-name=$2" "--description=$MADE_BY" "${ALWAYS[@]}"
        made "Account ${1%%@*}"
    fi
}

make_repository() {
    STEP="making the image repository $SERVICE"
    if found "ask the project's owner for the role Artifact Registry Administrator." gcloud artifacts repositories \
        describe "$SERVICE" "--location=$REGION" "--format=value(name)" "${ALWAYS[@]}"; then
        is_there "Image repository $SERVICE"
    else
        attempt "ask the project's owner for the role Artifact Registry Administrator." gcloud artifacts repositories \
            create "$SERVICE" --repository-format=docker "--location=$REGION" "--labels=$MADE_BY" "${ALWAYS[@]}"
        made "Image repository $SERVICE"
    fi
}

# It holds the weights, and the sources of the builds. It gets its label in a second step, so a run that broke off between
# them leaves one without: empty, and with a name that nobody chose.
make_bucket() {
    STEP="making the bucket $BUCKET"
    if found "if the name is somebody else's, set BUCKET to another one." \
        gcloud storage buckets describe "gs://$BUCKET" "--format=value(labels.made_by)" "${ALWAYS[@]}"; then
        is_there "Bucket $BUCKET"
        [[ -z $OUT && $BUCKET == "$PROJECT-$SERVICE" ]] || return 0
        ! found "ask the project's owner for the role Storage Admin." \
            gcloud storage ls "gs://$BUCKET" "${ALWAYS[@]}" || [[ -z $OUT ]] || return 0
    else
        attempt "if the name is somebody else's, set BUCKET to another one." gcloud storage buckets create "gs://$BUCKET" \
            "--location=$REGION" --uniform-bucket-level-access --public-access-prevention "${ALWAYS[@]}"
        made "Bucket $BUCKET"
    fi
    STEP="labelling the bucket $BUCKET"
    attempt "ask the project's owner for the role Storage Admin." gcloud storage buckets update "gs://$BUCKET" \
        "--update-labels=$MADE_BY" "${ALWAYS[@]}"
}

# Each account may do what it needs and nothing else.
give_rights() {
    local name
    for name in $OF_SERVICE; do
        grant "$RUNNER" roles/secretmanager.secretAccessor secrets "$(secret_id "$name")"
    done
    if [[ $WEIGHTS == bucket ]]; then
        grant "$RUNNER" roles/storage.objectViewer "storage buckets" "gs://$BUCKET"
        grant "$BUILDER" roles/secretmanager.secretAccessor secrets "$(secret_id HF_TOKEN)"
    fi
    grant "$BUILDER" roles/storage.objectUser "storage buckets" "gs://$BUCKET"
    grant "$BUILDER" roles/artifactregistry.writer "artifacts repositories" "$SERVICE" "--location=$REGION"
    grant "$BUILDER" roles/logging.logWriter projects "$PROJECT"
}

IAM_ADVICE="ask the project's owner for the role Project IAM Admin."

# is_granted ACCOUNT ROLE GROUP NAME [OPTION]: GROUP is gcloud's, as in "storage buckets".
is_granted() {
    local account="$1" role="$2" group="$3"
    shift 3
    # shellcheck disable=SC2086
    found "$IAM_ADVICE" gcloud $group get-iam-policy "$@" "--flatten=bindings[].members" \
        "--format=csv[no-heading](bindings.role,bindings.members)" "${ALWAYS[@]}" &&
        [[ $'\n'$OUT$'\n' == *$'\n'"$role,serviceAccount:$account"$'\n'* ]]
}

# grant ACCOUNT ROLE GROUP NAME [OPTION]
grant() {
    local account="$1" role="$2" group="$3" tries=0
    STEP="giving ${account%%@*} the role $role on $4"
    if is_granted "$@"; then
        shift 3
        is_there "Role $role of ${account%%@*} on $1"
        return 0
    fi
    shift 3
    # An account that was made a moment ago is not known everywhere yet.
    # shellcheck disable=SC2086
    while [[ -z $DRY_RUN ]] && ! split_run gcloud $group add-iam-policy-binding "$@" "--member=serviceAccount:$account" \
        "--role=$role" --condition=None "${ALWAYS[@]}"; do
        tries=$((tries + 1))
        if [[ $ERR != *"does not exist"* || $tries -ge 12 ]]; then
            printf '%s\n' "$ERR" >&2
            stop "$(advice_for "$ERR" "$IAM_ADVICE")"
        fi
        pause 5
    done
    # shellcheck disable=SC2086
    [[ -z $DRY_RUN ]] || attempt "$IAM_ADVICE" gcloud $group add-iam-policy-binding "$@" "--member=serviceAccount:$account" \
        "--role=$role" --condition=None "${ALWAYS[@]}"
    made "Role $role of ${account%%@*} on $1" given
}
