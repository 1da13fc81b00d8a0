# Removes what setup.sh made, which its label tells. The bucket only if asked to, since its 17 GB take a while to come again.
# shellcheck shell=bash disable=SC2034,SC2153  # the parts share variables

OWNER_ADVICE="ask the project's owner for the role Owner."

delete_everything() {
    local name id account
    be_sure
    # A setup that broke off early has not enabled all.
    ABSENT_TOO="$NOT_ENABLED"
    drop "service $SERVICE" "run services describe" "run services delete" metadata.labels.made_by "$SERVICE" "--region=$REGION"
    drop "image repository $SERVICE" "artifacts repositories describe" "artifacts repositories delete" labels.made_by \
        "$SERVICE" "--location=$REGION"
    for name in $SECRETS; do
        id="$(secret_id "$name")"
        drop "secret $id" "secrets describe" "secrets delete" labels.made_by "$id"
    done
    for account in "$RUNNER" "$BUILDER"; do
        is_ours "account ${account%%@*}" "iam service-accounts describe" description "$account" || continue
        [[ $account != "$BUILDER" ]] || take_right_to_log
        delete "account ${account%%@*}" "iam service-accounts delete" "$account"
    done
    drop_bucket
}

be_sure() {
    local answer=""
    [[ -z $YES && -z $DRY_RUN ]] || return 0
    on_terminal || refuse "Nothing was deleted: nobody can be asked here; give --yes as well."
    say "This deletes the service $SERVICE in $REGION of the project $PROJECT, its images, secrets and accounts$([[ -n $WITH_BUCKET ]] && say ", and the bucket $BUCKET with all that is in it"), as far as this script made them."
    IFS= read -r -p "Type $SERVICE to go on: " answer || true
    [[ $answer == "$SERVICE" ]] || refuse "Nothing was deleted."
}

# It would stay in the project's list of rights, without its account.
take_right_to_log() {
    STEP="taking the role roles/logging.logWriter from ${BUILDER%%@*}"
    is_granted "$BUILDER" roles/logging.logWriter projects "$PROJECT" || [[ -n $DRY_RUN ]] || return 0
    attempt "$OWNER_ADVICE" gcloud projects remove-iam-policy-binding "$PROJECT" \
        "--member=serviceAccount:$BUILDER" --role=roles/logging.logWriter --condition=None "${ALWAYS[@]}"
    made "role roles/logging.logWriter of ${BUILDER%%@*}" taken
}

# In a bucket that was there before, only what was put there.
drop_bucket() {
    local what="bucket $BUCKET" mark="gs://$BUCKET/$WEIGHTS_NAME.complete" sources="gs://$BUCKET/$SERVICE-setup-sources/"
    if [[ -z $WITH_BUCKET ]]; then
        say "Bucket $BUCKET: stays, with the weights; --with-bucket deletes it"
        return 0
    fi
    if is_ours "$what" "storage buckets describe" labels.made_by "gs://$BUCKET"; then
        delete "$what" "storage rm --recursive" "gs://$BUCKET"
        return 0
    fi
    [[ -n $IS_THERE ]] || return 0
    drop_objects "sources in the $what" "$sources"
    # The mark tells whose the weights are, so it goes last.
    STEP="looking for the mark of the weights in the $what"
    if found "$OWNER_ADVICE" gcloud storage objects describe "$mark" "--format=value(name)" "${ALWAYS[@]}"; then
        drop_objects "weights in the $what" "gs://$BUCKET/$WEIGHTS_NAME/"
        delete "mark of the weights in the $what" "storage rm" "$mark"
    fi
}

# drop_objects WHAT FOLDER
drop_objects() {
    STEP="looking for the $1"
    if found "$OWNER_ADVICE" gcloud storage ls "$2" "${ALWAYS[@]}" && [[ -n $OUT ]]; then
        delete "$1" "storage rm --recursive" "$2"
    fi
}

# is_ours WHAT ASKING FIELD NAME [OPTION]: whether it is there and setup.sh made it; says so if not. IS_THERE: whether it is
# there at all. With --dry-run it is ours.
is_ours() {
    local what="$1" asking="$2" field="$3"
    shift 3
    STEP="deleting the $what"
    IS_THERE=""
    # shellcheck disable=SC2086
    if found "$OWNER_ADVICE" gcloud $asking "$@" "--format=value($field)" "${ALWAYS[@]}"; then
        IS_THERE=yes
        [[ $OUT != "$MADE_BY" && $OUT != "${MADE_BY#*=}" ]] || return 0
        say "$what: is not ours (no $MADE_BY): stays"
    elif [[ -n $DRY_RUN ]]; then
        return 0
    else
        say "$what: is not there"
    fi
    return 1
}

# delete WHAT DELETING NAME [OPTION]
delete() {
    local what="$1" deleting="$2"
    shift 2
    STEP="deleting the $what"
    # shellcheck disable=SC2086
    attempt "$OWNER_ADVICE" gcloud $deleting "$@" "${ALWAYS[@]}"
    made "$what" deleted
}

# drop WHAT ASKING DELETING FIELD NAME [OPTION]
drop() {
    local what="$1" asking="$2" deleting="$3" field="$4"
    shift 4
    ! is_ours "$what" "$asking" "$field" "$@" || delete "$what" "$deleting" "$@"
}
