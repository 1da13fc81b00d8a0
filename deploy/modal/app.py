"""The app on Modal, in one container with one GPU.

From the root of the repository:

    modal run deploy/modal/app.py::download    # the weights, into the volume; the first visitor need not wait
    modal serve deploy/modal/app.py            # to try it; it ends with the command, and follows the code
    modal deploy deploy/modal/app.py

README.md beside it explains the variables that are read here, when it is deployed.
"""

import os

import modal

USUAL = {
    "MODAL_APP": "personaplex-ui",
    "MODAL_SECRET": "personaplex",  # or several, with commas between them
    "MODAL_VOLUME": "personaplex-data",
    "MODAL_GPU": "L4",
    "MODAL_REGIONS": "",  # anywhere
    "MIN_CONTAINERS": "0",
    "SLEEP_MINUTES": "20",
}
CHOSEN = {name: os.environ.get(name) or usual for name, usual in USUAL.items()}
MOUNT = "/data"
HOURS = 3600

if CHOSEN["MIN_CONTAINERS"] not in ("0", "1"):
    raise SystemExit("MIN_CONTAINERS must be 1 (always on) or 0 (asleep while nobody is there).")
if CHOSEN["SLEEP_MINUTES"] not in map(str, range(1, 21)):
    raise SystemExit("SLEEP_MINUTES must be 1 to 20, which is the longest that Modal waits.")


def listed(name: str) -> list[str]:
    return [part.strip() for part in CHOSEN[name].split(",") if part.strip()]


image = (
    modal.Image.debian_slim(python_version="3.11")
    .apt_install("gcc", "libc6-dev")  # with which Triton builds the model's GPU kernels at run time
    .pip_install_from_requirements("requirements.txt")
    .env(
        {
            "HF_HOME": f"{MOUNT}/huggingface",
            "RECORDINGS_DIR": f"{MOUNT}/recordings",
            "TRITON_CACHE_DIR": f"{MOUNT}/triton",  # so that a container that wakes need not build them again
            "NO_TORCH_COMPILE": "1",  # moshi's own compiling serves no call
            "DRAIN_SECONDS": "20",  # of the 30 s that a container gets; goodbyes take up to 5 of the others
            # The container reads this file, too, and must come to the same secrets and volume.
            **CHOSEN,
        }
    )
    # Whole folders: the package has sounds, styles and scripts beside its Python files.
    .add_local_dir("voices", "/root/voices")
    .add_local_dir("personaplex_ui", "/root/personaplex_ui", ignore=["**/__pycache__"])
)
app = modal.App(CHOSEN["MODAL_APP"], image=image)
volume = modal.Volume.from_name(CHOSEN["MODAL_VOLUME"], create_if_missing=True)
secrets = [modal.Secret.from_name(name) for name in listed("MODAL_SECRET")]


@app.function(
    gpu=CHOSEN["MODAL_GPU"],
    cpu=4,
    memory=8192,
    volumes={MOUNT: volume},
    secrets=secrets,
    region=listed("MODAL_REGIONS") or None,
    min_containers=int(CHOSEN["MIN_CONTAINERS"]),
    max_containers=1,  # calls, queue and recordings live in one process
    scaledown_window=int(CHOSEN["SLEEP_MINUTES"]) * 60,
    timeout=24 * HOURS,  # of one request, and a call over the websocket is one
)
@modal.concurrent(max_inputs=200)
@modal.asgi_app()
def serve():
    """Modal runs the app's lifespan, which starts the engine and ends the calls."""
    import os

    from personaplex_ui.app.bootstrap import build_app
    from personaplex_ui.config.settings import LogFormat, Settings
    from personaplex_ui.logs.formats import configure_logging

    variables = dict(os.environ)
    if not variables.get("TURN_URLS"):
        # No UDP gets in: without a TURN server pages call over the websocket at once.
        variables.setdefault("BROWSER_CALLS", "websocket")
    settings = Settings.from_mapping(variables)
    configure_logging(settings.log_level, settings.log_format is LogFormat.JSON)
    return build_app(settings)


@app.function(cpu=4, memory=4096, volumes={MOUNT: volume}, secrets=secrets, timeout=4 * HOURS)
def download():
    """Fetches the weights into the volume, on a machine without a GPU; one that broke off is resumed."""
    import os

    from personaplex_ui.config.settings import Settings, revealed
    from personaplex_ui.models.personaplex.hub.download import Hub, find_checkpoint

    def tell(sentence: str, share: float) -> None:
        print(f"{share:4.0%} {sentence}", flush=True)

    settings = Settings.from_mapping(os.environ)
    try:
        find_checkpoint(settings.hf_repo, settings.hf_revision, Hub(revealed(settings.hf_token)), tell)
    finally:
        volume.commit()
    print(f"{settings.hf_repo} is in the volume {CHOSEN['MODAL_VOLUME']}.")
