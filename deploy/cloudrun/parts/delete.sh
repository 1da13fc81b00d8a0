# Removes what setup.sh made. The bucket only if asked to, since its 17 GB take a while to come again.
# shellcheck shell=bash disable=SC2034,SC2153  # the parts share variables

delete_everything() {
    local name id account answer=""
    if [[ -z $YES && -z $DRY_RUN ]]; then
        on_terminal || refuse "Nothing was deleted: nobody can be asked here; give --yes as well."
        say "This deletes the service $SERVICE in $REGION of the project $PROJECT, its images, secrets and accounts$([[ -n $WITH_BUCKET ]] && say ", and the bucket $BUCKET with all that is in it")."
        IFS= read -r -p "Type $SERVICE to go on: " answer || true
        [[ $answer == "$SERVICE" ]] || refuse "Nothing was deleted."
    fi
    drop "service $SERVICE" "run services describe" "run services delete" "$SERVICE" "--region=$REGION"
    drop "image repository $SERVICE" "artifacts repositories describe" "artifacts repositories delete" "$SERVICE" "--location=$REGION"
    for name in $SECRETS; do
        id="$(secret_id "$name")"
        drop "secret $id" "secrets describe" "secrets delete" "$id"
    done
    # It would stay in the project's list of rights, without its account.
    STEP="taking the role roles/logging.logWriter from ${BUILDER%%@*}"
    if is_granted "$BUILDER" roles/logging.logWriter projects "$PROJECT" || [[ -n $DRY_RUN ]]; then
        attempt "ask the project's owner for the role Owner." gcloud projects remove-iam-policy-binding "$PROJECT" \
            "--member=serviceAccount:$BUILDER" --role=roles/logging.logWriter --condition=None "${ALWAYS[@]}"
        made "role roles/logging.logWriter of ${BUILDER%%@*}" taken
    fi
    for account in "$RUNNER" "$BUILDER"; do
        drop "account ${account%%@*}" "iam service-accounts describe" "iam service-accounts delete" "$account"
    done
    [[ -z $WITH_BUCKET ]] || drop "bucket $BUCKET" "storage buckets describe" "storage rm --recursive" "gs://$BUCKET"
    [[ -n $WITH_BUCKET ]] || say "Bucket $BUCKET: stays, with the weights; --with-bucket deletes it"
}

# drop WHAT ASKING DELETING NAME [OPTION]
drop() {
    local what="$1" asking="$2" deleting="$3"
    shift 3
    STEP="deleting the $what"
    # shellcheck disable=SC2086
    if found "ask the project's owner for the role Owner." gcloud $asking "$@" "--format=value(name)" "${ALWAYS[@]}" || [[ -n $DRY_RUN ]]; then
        # shellcheck disable=SC2086
        attempt "ask the project's owner for the role Owner." gcloud $deleting "$@" "${ALWAYS[@]}"
        made "$what" deleted
    else
        say "$what: is not there"
    fi
}
