"""The app on Modal, in one container with one NVIDIA L4.

From the root of the repository: ``modal deploy deploy/modal/app.py``
"""

import modal

image = (
    modal.Image.debian_slim(python_version="3.11")
    .apt_install("gcc", "libc6-dev")  # with which Triton builds the model's GPU kernels at run time
    .pip_install_from_requirements("requirements.txt")
    .env(
        {
            "HF_HOME": "/data/huggingface",
            "RECORDINGS_DIR": "/data/recordings",
            "TRITON_CACHE_DIR": "/data/triton",  # so that a container that wakes need not build them again
            "NO_TORCH_COMPILE": "1",  # moshi's own compiling serves no call
        }
    )
    # Whole folders: the package has sounds, styles and scripts beside its Python files.
    .add_local_dir("voices", "/root/voices")
    .add_local_dir("personaplex_ui", "/root/personaplex_ui", ignore=["**/__pycache__"])
)
app = modal.App("personaplex-ui", image=image)


@app.function(
    gpu="L4",
    cpu=4,
    memory=8192,
    volumes={"/data": modal.Volume.from_name("personaplex-data", create_if_missing=True)},
    secrets=[modal.Secret.from_name("personaplex")],
    max_containers=1,  # calls, queue and recordings live in one process
    scaledown_window=20 * 60,
    timeout=24 * 3600,  # of one request; a page follows its call with one
)
@modal.concurrent(max_inputs=200)
@modal.asgi_app()
def serve():
    """Modal runs the app's lifespan, which starts the engine and ends the calls."""
    import os

    from personaplex_ui.app.bootstrap import build_app
    from personaplex_ui.config.settings import LogFormat, Settings
    from personaplex_ui.logs.formats import configure_logging

    settings = Settings.from_mapping(os.environ)
    configure_logging(settings.log_level, settings.log_format is LogFormat.JSON)
    return build_app(settings)
