#!/usr/bin/env bash
# Runs the app on Google Cloud Run with one NVIDIA L4: makes all that it needs there, builds the image in the cloud,
# deploys it and waits until it takes calls. README.md beside it explains the settings.
#
#   deploy/cloudrun/setup.sh              make what is missing; run it again after a failure, or with new settings
#   deploy/cloudrun/setup.sh --dry-run    print the commands, call nothing
#   deploy/cloudrun/setup.sh --delete     remove it all again, except the bucket; that too with --with-bucket
#
# Settings come from the environment, then from .env; on a terminal it asks for what is missing. Plain bash 3.2, which
# macOS has, gcloud and curl.

# A trace (bash -x) would print secrets.
{ set +x; } 2>/dev/null
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

PARTS=deploy/cloudrun/parts
# shellcheck source=deploy/cloudrun/parts/commands.sh
source "$PARTS/commands.sh"
# shellcheck source=deploy/cloudrun/parts/settings.sh
source "$PARTS/settings.sh"
# shellcheck source=deploy/cloudrun/parts/project.sh
source "$PARTS/project.sh"
# shellcheck source=deploy/cloudrun/parts/secrets.sh
source "$PARTS/secrets.sh"
# shellcheck source=deploy/cloudrun/parts/builds.sh
source "$PARTS/builds.sh"
# shellcheck source=deploy/cloudrun/parts/service.sh
source "$PARTS/service.sh"
# shellcheck source=deploy/cloudrun/parts/health.sh
source "$PARTS/health.sh"
# shellcheck source=deploy/cloudrun/parts/delete.sh
source "$PARTS/delete.sh"

usage() {
    cat <<'TEXT'
usage: deploy/cloudrun/setup.sh [--dry-run] [--no-questions] [--no-wait]
       deploy/cloudrun/setup.sh --delete [--with-bucket] [--yes]

  --dry-run       print every command and call nothing; secrets are shown as ***
  --no-questions  ask nothing, also on a terminal
  --no-wait       do not wait until calls can be taken
  --delete        remove what this script made: service, images, secrets and accounts; asks first
  --with-bucket   with --delete: the bucket with the weights, too
  --yes           with --delete: do not ask

PROJECT and HF_TOKEN are needed; deploy/cloudrun/README.md lists the others.
TEXT
}

DRY_RUN="" QUESTIONS=yes WAIT=yes DELETE="" WITH_BUCKET="" YES=""
while (($#)); do
    case "$1" in
        --dry-run) DRY_RUN=yes ;;
        --no-questions) QUESTIONS="" ;;
        --no-wait) WAIT="" ;;
        --delete) DELETE=yes ;;
        --with-bucket) WITH_BUCKET=yes ;;
        --yes) YES=yes ;;
        -h | --help)
            usage
            exit 0
            ;;
        *)
            usage >&2
            refuse "There is no option $1."
            ;;
    esac
    shift
done
[[ -z $WITH_BUCKET || -n $DELETE ]] || refuse "--with-bucket belongs to --delete."

trap 'interrupted' INT TERM HUP

check_tools
read_settings
check_sign_in
if [[ -n $DELETE ]]; then
    ! on_terminal || ask PROJECT "The Google Cloud project"
    [[ -n $PROJECT ]] || refuse "Missing: PROJECT (the Google Cloud project). Set it in the environment."
    check_names
    name_all
    delete_everything
    exit 0
fi
ask_for_missing
check_settings

name_all
find_project
enable_services
check_gpu_quota
look_for_service
make_accounts
make_repository
make_bucket
keep_secrets
give_rights
build_image
copy_weights
deploy_service
wait_until_healthy
report
