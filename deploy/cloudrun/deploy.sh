#!/usr/bin/env bash
# Builds the image and runs it on Google Cloud Run with one NVIDIA L4. README.md beside it lists what must exist
# first: the project's services, the bucket with the weights, the secrets, a TURN server.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

: "${PROJECT:?the Google Cloud project, as in PROJECT=my-project}"
: "${BUCKET:?the bucket with the weights, as in BUCKET=my-project-personaplex}"
: "${TURN_URLS:?the TURN server, TLS first, as in TURN_URLS=turns:turn.example.org:443?transport=tcp}"
: "${TURN_USERNAME:?the user of the TURN server}"
REGION="${REGION:-europe-west4}"
SERVICE="${SERVICE:-personaplex}"
MAX_CALLS="${MAX_CALLS:-auto}"
# Cloud Run's front end reaches the container from link-local addresses, and names the client in a header.
TRUSTED_PROXIES="${TRUSTED_PROXIES:-169.254.0.0/16}"
IMAGE="${IMAGE:-$REGION-docker.pkg.dev/$PROJECT/personaplex/personaplex-ui}"

gcloud builds submit --project="$PROJECT" --tag="$IMAGE" --timeout=1h --disk-size=100 .

# shellcheck disable=SC2054  # the commas belong to options
options=(
    --project="$PROJECT" --region="$REGION" --image="$IMAGE" --port=7860 --allow-unauthenticated

    # The machine. A GPU needs at least 4 CPUs, and the CPU must also run between requests, for the sound.
    --gpu=1 --gpu-type=nvidia-l4 --no-gpu-zonal-redundancy --cpu=8 --memory=32Gi
    --no-cpu-throttling --execution-environment=gen2

    # One process holds its calls, so there is one instance, always on. Each open page holds requests open.
    --min-instances=1 --max-instances=1 --session-affinity --concurrency=500 --timeout=60m

    # The page is up before the model is: wait for the port, not for /health, which says 503 until then.
    --startup-probe=tcpSocket.port=7860,periodSeconds=10,failureThreshold=24,timeoutSeconds=5

    # The disk of an instance is its memory, so the weights are read from a bucket.
    --add-volume=name=weights,type=cloud-storage,bucket="$BUCKET",readonly=true
    --add-volume-mount=volume=weights,mount-path=/weights

    # Updated, not set, since that would remove the other variables of the service: password, telephone, address.
    # ^;^ sets the separator of the variables: TURN_URLS and TRUSTED_PROXIES may have commas.
    --update-env-vars="^;^HF_REPO=/weights/personaplex-7b-v1;MAX_CALLS=$MAX_CALLS;TRUSTED_PROXIES=$TRUSTED_PROXIES;TURN_URLS=$TURN_URLS;TURN_USERNAME=$TURN_USERNAME"
    --update-secrets=TURN_CREDENTIAL=turn-credential:latest
)
gcloud run deploy "$SERVICE" "${options[@]}"
