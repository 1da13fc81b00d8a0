# The app for a machine with or without an NVIDIA GPU. docker-compose.yml runs it; docs/DEPLOYMENT.md explains it.

# Every requirement is a wheel that brings its own libraries, CUDA's included; the GPU's driver comes from the host,
# through NVIDIA's container toolkit. Sound needs no ffmpeg program either.
FROM python:3.11-slim-bookworm

LABEL org.opencontainers.image.title="personaplex_ui" \
      org.opencontainers.image.description="Talk with NVIDIA PersonaPlex, a full-duplex speech model" \
      org.opencontainers.image.licenses="MIT"

# Triton, which comes with torch, builds the model's GPU kernels at run time with a C compiler and Python's headers; the
# latter are in this base image. Without them the app still runs, in a slower way that is too slow for calls in int8.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

# 1000 is the user of Hugging Face Spaces. A new volume takes the owner of the folder it is mounted on.
RUN useradd --create-home --uid 1000 app \
    && mkdir -p /data/huggingface /data/recordings /data/speech /data/voices \
    && chown -R app:app /data

WORKDIR /app

# 8 GB that change only with the pinned versions. No cache mount, since Cloud Build's builder has none.
COPY requirements.txt ./
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore -r requirements.txt

# Owned by root, so that the app cannot change its own code.
COPY LICENSE app.py ./
COPY voices voices
COPY personaplex_ui personaplex_ui

# What is worth keeping lies under /data. numba's cache (librosa's, by way of FastRTC) would go beside its code,
# which cannot be written. Triton's kernels take seconds to build and are built again in a new container. moshi would
# compile on a CPU, which takes half a minute and serves no call.
ENV HOME=/home/app \
    HF_HOME=/data/huggingface \
    RECORDINGS_DIR=/data/recordings \
    SPEECH_WEIGHTS_DIR=/data/speech \
    VOICES_DIR=/data/voices \
    GRADIO_TEMP_DIR=/tmp/gradio \
    NUMBA_CACHE_DIR=/tmp/numba \
    TRITON_CACHE_DIR=/tmp/triton \
    NO_TORCH_COMPILE=1 \
    PYTHONUNBUFFERED=1 \
    PORT=7860

USER 1000:1000
EXPOSE 7860

# /health answers 503 until calls can be taken, so the first start is "starting" while 17 GB are fetched: an hour
# is enough at 5 MB/s, and the first 200 ends it. A model that could not be loaded is "unhealthy" after that; the
# page stays up and says why. So is one in trouble, until it is restarted, which the app does by
# itself. Proxies of the environment are not asked for this machine.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60m --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as web; web.build_opener(web.ProxyHandler({})).open('http://127.0.0.1:%s/health' % (os.environ.get('PORT') or 7860), timeout=4)"]

# Exec form, so that the signal reaches Python: calls then end with words, all within 5 s.
STOPSIGNAL SIGTERM
CMD ["python", "app.py"]
