# The app's secrets in Secret Manager. Values go there through a command's input and are never printed.
# shellcheck shell=bash disable=SC2034,SC2153  # the parts share variables

# secret_id NAME: as in personaplex-hf-token
secret_id() { printf '%s-%s' "$SERVICE" "$1" | tr 'A-Z_' 'a-z-'; }

# Sets KEPT (names of the app's secrets that exist now), OF_SERVICE (those that the service reads), and SECRET_OPTION, as
# in API_KEY=personaplex-api-key:3. A version is named, so that a changed secret makes a new revision.
keep_secrets() {
    local name id existing="" version
    KEPT="" OF_SERVICE="" SECRET_OPTION=""
    STEP="looking for the secrets"
    if found "ask the project's owner for the role Secret Manager Admin." \
        gcloud secrets list "--filter=name:$SERVICE-" "--format=value(name.basename())" "${ALWAYS[@]}"; then
        existing=" ${OUT//$'\n'/ } "
    fi
    for name in $SECRETS; do
        id="$(secret_id "$name")"
        if [[ -n ${!name} ]]; then
            keep_secret "$id" "${!name}" "$existing"
        elif [[ $existing != *" $id "* ]]; then
            [[ $name == HF_TOKEN && -n $DRY_RUN ]] || continue
            keep_secret "$id" "(a token)" ""
        else
            is_there "Secret $id"
        fi
        KEPT="$KEPT $name"
        # The weights in the bucket need no token at run time.
        [[ $name != HF_TOKEN || $WEIGHTS == hub ]] || continue
        OF_SERVICE="$OF_SERVICE $name"
        version="VERSION"
        if found "run it again." gcloud secrets versions describe latest "--secret=$id" \
            "--format=csv[no-heading](name,state)" "${ALWAYS[@]}" && [[ $OUT == *,ENABLED || $OUT == *,enabled ]]; then
            version="${OUT%,*}"
            version="${version##*/}"
        elif [[ -z $DRY_RUN ]]; then
            stop "the secret $id has no value that can be read; set $name."
        fi
        SECRET_OPTION="$SECRET_OPTION,$name=$id:$version"
    done
    SECRET_OPTION="${SECRET_OPTION#,}"
}

# keep_secret ID VALUE EXISTING: a new version only if the value is another one.
keep_secret() {
    local id="$1" value="$2" state=changed
    STEP="keeping the secret $id"
    if [[ $3 != *" $id "* ]]; then
        attempt "ask the project's owner for the role Secret Manager Admin." \
            gcloud secrets create "$id" --replication-policy=automatic "--labels=$MADE_BY" "${ALWAYS[@]}"
        state=made
    # A version that was destroyed or disabled is another value.
    elif ABSENT_TOO="FAILED_PRECONDITION.* state" found "ask the project's owner for the role Secret Manager Secret Accessor." \
        gcloud secrets versions access latest "--secret=$id" "${ALWAYS[@]}" && [[ $OUT == "$value" ]]; then
        OUT=""
        is_there "Secret $id"
        return 0
    fi
    OUT=""
    attempt_with "$value" "ask the project's owner for the role Secret Manager Admin." \
        gcloud secrets versions add "$id" --data-file=- "${ALWAYS[@]}"
    made "Secret $id" "$state"
}
