"""Names in the file of settings that nothing reads, most of them misspelt. Values are never looked at."""

import difflib
import re
from collections.abc import Iterable, Iterator

PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
MOST_TOLD = 20
CLOSE = 0.75
VERY_CLOSE = 0.88
"""How like one of ours a name that a library could read has to be."""

OF_THE_APP = ("ENV_FILE", "NO_TORCH_COMPILE", "NO_CUDA_GRAPH", "HF_HOME", "HF_PUSH_TOKEN", "SPACE_HOST")
"""Besides the settings; the same file may hold the names of deploy/."""

OF_DEPLOY = (
    *("PROJECT", "REGION", "SERVICE", "WEIGHTS", "BUCKET", "CPU", "MEMORY", "GPU_TYPE"),
    *("MIN_INSTANCES", "MAX_INSTANCES", "WAIT_MINUTES", "SERVICE_ACCOUNT"),
    *("AGONES_SDK_HTTP_PORT", "CERTIFICATE", "PLACEMENT", "PLAIN_HTTP", "FRONT_PROXY"),
    *("HTTP_BIND", "HTTPS_BIND", "HTTPS_PORT", "MAX_CONNECTIONS", "ASK_EVERY_MS", "CHECK_EVERY"),
)
OF_LIBRARIES = re.compile(
    r"(HF|HUGGINGFACE|HUGGING_FACE|GRADIO|CUDA|CUDNN|CUBLAS|NVIDIA|NCCL|TORCH|TORCHINDUCTOR|TORCHDYNAMO|PYTORCH"
    r"|TRITON|OMP|GOMP|KMP|MKL|OPENBLAS|NUMEXPR|ORT|ONNX|ONNXRUNTIME|TOKENIZERS|TRANSFORMERS|SAFETENSORS|XDG"
    r"|PYTHON|PIP|UV|SSL|CURL|REQUESTS|LD|LC|MALLOC|GLIBC|AV|OPENAI|TQDM|UVICORN|COMPOSE|DOCKER|BUILDKIT|GPU"
    r"|GOOGLE|CLOUDSDK|AWS|K|KUBERNETES|SPACE|SPACES|OAUTH|OPENID|MPL|NUMBA|RUST|RAYON|SENTRY|OTEL)_\w+"
    r"|PYTHON[A-Z]+|MALLOC\w*|(ALL|HTTPS?|NO|FTP)_PROXY|(all|https?|no|ftp)_proxy|PATH|HOME|USER|LOGNAME|SHELL|PWD|TERM"
    r"|LANG|LANGUAGE|TZ|TMPDIR|TEMP|TMP|EDITOR|PAGER|HOSTNAME|DISPLAY|DEBUG|COLUMNS|LINES|NO_COLOR|FORCE_COLOR"
    r"|FORWARDED_ALLOW_IPS|WEB_CONCURRENCY|DO_NOT_TRACK|KAGGLE_\w+|CC|CXX|CFLAGS|UMASK|UID|GID|PUID|PGID"
)


def unread_names(names: Iterable[str], file: str) -> Iterator[str]:
    """A sentence for each of ``names``, of ``file``, that neither this app nor a library reads."""
    # The settings load a library, which environment.py must not do before the environment is prepared.
    from personaplex_ui.config.settings import Settings

    ours = (*(field.upper() for field in Settings.model_fields), *OF_THE_APP)
    told = 0
    for name in names:
        if name in ours or name in OF_DEPLOY:
            continue
        near = _nearest(name, ours)
        if OF_LIBRARIES.fullmatch(name) and not near:
            continue
        told += 1
        if told > MOST_TOLD:
            yield f"There are more such names in {file}. Correct or remove them."
            return
        # What is no name may be a secret that was put in the wrong place.
        shown = name if PLAIN_NAME.fullmatch(name) else "a name that no variable can have"
        advice = f"Did you mean {near}?" if near else "Remove it, or correct it: .env.example has the names."
        yield f"{file} sets {shown}, which nothing reads. {advice}"


def _nearest(name: str, ours: Iterable[str]) -> str:
    close = VERY_CLOSE if OF_LIBRARIES.fullmatch(name) else CLOSE
    return next(iter(difflib.get_close_matches(name.upper(), ours, 1, close)), "")
