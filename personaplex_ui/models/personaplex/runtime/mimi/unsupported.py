"""What a config of Mimi can ask for and the streaming loop does not do."""

from personaplex_ui.models.personaplex.loading.checkpoint_files import CheckpointUnusable


def unsupported(what: str) -> CheckpointUnusable:
    """The error for a part of Mimi, told as ``what`` its config asks for."""
    return CheckpointUnusable(
        f"The config of Mimi, which mimi_config_name names, asks for {what}, which cannot be streamed here. "
        "Fetch it again, or remove mimi_config_name from config.json if Mimi is the usual one."
    )
