# What Cloud Build does: the image, and the weights into the bucket. The account SERVICE-build does both.
# shellcheck shell=bash disable=SC2034,SC2153  # the parts share variables

sha256() {
    if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -c1-16
}

# All that goes into the image, by which an image that is there already is known again.
source_hash() {
    local files
    files="$(find Dockerfile requirements.txt LICENSE app.py voices/README.md voices/catalogue.json personaplex_ui -type f \
        ! -name '*.pyc' ! -path '*/.*' ! -name '*.sqlite3' ! -name '*.sqlite3-*' ! -name '*~' | LC_ALL=C sort)"
    {
        printf '%s\n' "$files"
        printf '%s\n' "$files" | tr '\n' '\0' | xargs -0 cat
    } | sha256
}

# build_with CONFIG SUBSTITUTIONS SOURCE...
build_with() {
    local config="$1" substitutions="$2" advice
    shift 2
    advice="see https://console.cloud.google.com/cloud-build/builds?project=$PROJECT; if it says that a permission is"
    advice="$advice missing, wait two minutes, since rights that were just given take that long."
    attempt_live "$advice" gcloud builds submit "$@" "--config=deploy/cloudrun/$config" "--substitutions=$substitutions" \
        "--service-account=projects/$PROJECT/serviceAccounts/$BUILDER" "${ALWAYS[@]}"
}

build_image() {
    IMAGE="$REPOSITORY/personaplex-ui:$(source_hash)"
    STEP="building the image"
    if found "ask the project's owner for the role Artifact Registry Reader." gcloud artifacts docker images describe \
        "$IMAGE" "--format=value(image_summary.digest)" "${ALWAYS[@]}"; then
        is_there "Image of this version"
        return 0
    fi
    takes_a_while "Image: being built in the cloud, which takes about a quarter of an hour"
    build_with image.yaml "_IMAGE=$IMAGE" . --ignore-file=deploy/cloudrun/source.ignore \
        "--gcs-source-staging-dir=gs://$BUCKET/$SERVICE-setup-sources"
    made "Image of this version" built
}

# From the hub into the bucket, in the cloud: 17 GB through the user's own connection, down and up, would take hours. The
# mark is written last, so that a copy that broke off is made again.
copy_weights() {
    local mark
    [[ $WEIGHTS == bucket ]] || return 0
    mark="gs://$BUCKET/$WEIGHTS_NAME.complete"
    STEP="copying the weights of $HF_REPO into the bucket"
    if found "ask the project's owner for the role Storage Object Viewer." \
        gcloud storage objects describe "$mark" "--format=value(name)" "${ALWAYS[@]}"; then
        is_there "Weights in the bucket"
        return 0
    fi
    takes_a_while "Weights: being copied in the cloud, 17 GB, which takes about ten minutes"
    build_with weights.yaml \
        "_REPO=$HF_REPO,_REVISION=${HF_REVISION:-main},_BUCKET=$BUCKET,_NAME=$WEIGHTS_NAME,_SECRET=$(secret_id HF_TOKEN)" \
        --no-source
    made "Weights in the bucket" copied
}
