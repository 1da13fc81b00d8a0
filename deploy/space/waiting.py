"""Waits until a Space is built, runs and takes calls, and tells how far it is."""

from collections.abc import Callable
from typing import Any, Protocol, cast

from huggingface_hub import SpaceRuntime

from deploy.space.errors import AGAIN, PushError

ASK_EVERY_SEC = 10.0
WORDS = {
    "BUILDING": "the Space is being built",
    "RUNNING_BUILDING": "the new version is being built, the old one runs",
    "APP_STARTING": "the app starts",
    "RUNNING_APP_STARTING": "the new version starts, the old one runs",
    "RUNNING": "the app runs",
}
BROKEN = ("BUILD_ERROR", "RUNTIME_ERROR", "CONFIG_ERROR", "NO_APP_FILE")
ASLEEP = ("PAUSED", "SLEEPING", "STOPPED")


class Space(Protocol):
    repo_id: str

    def runtime(self) -> SpaceRuntime: ...

    def wake(self) -> None: ...

    def address(self) -> str: ...

    def health(self, address: str, key: str | None) -> tuple[int, dict[str, Any]]: ...


def wait_until_ready(
    space: Space,
    key: str | None,
    minutes: int,
    say: Callable[[str], None],
    sleep: Callable[[float], None],
) -> str:
    """The address of the app, once calls can be taken. ``key``: what its ``/health`` asks for.

    Raises:
        PushError: it is broken, or not ready in time.
    """
    say(f"Waiting until calls can be taken, {minutes} minutes at most; it goes on without this command, too")
    told = now = ""
    woken = False
    address = space.address()
    for _ in range(max(1, int(minutes * 60 / ASK_EVERY_SEC))):
        # First of all, since the hub may not know yet that something has changed.
        sleep(ASK_EVERY_SEC)
        runtime = space.runtime()
        stage = str(runtime.stage)
        if stage in BROKEN:
            raw = cast(dict[str, Any], runtime.raw)
            raise PushError(_what_is_broken(space.repo_id, stage, raw))
        if stage in ASLEEP and not woken:
            space.wake()
            woken = True
        now = WORDS.get(stage, stage.lower().replace("_", " "))
        if stage == "RUNNING":
            status, body = space.health(address, key)
            if status == 200:
                say("Calls can be taken")
                return address
            now = _of_health(status, body)
        if now != told:
            say(f"    {now}")
            told = now
    raise PushError(
        f"It was not ready within {minutes} minutes ({now}); see its log at "
        f"https://huggingface.co/spaces/{space.repo_id}?logs=container. {AGAIN}"
    )


def _of_health(status: int, body: dict[str, Any]) -> str:
    """Raises:
    PushError: the model could not be loaded."""
    if status != 503:
        return "the app does not answer yet"
    state, message = str(body.get("status", "")), str(body.get("message", ""))
    if state == "failed":
        raise PushError(f"The app runs, but says: {message or 'the model could not be loaded.'} {AGAIN}")
    progress = body.get("progress")
    share = f" ({progress:.0%})" if isinstance(progress, float | int) else ""
    return f"{state}: {message}{share}"


def _what_is_broken(repo_id: str, stage: str, raw: dict[str, Any]) -> str:
    which = "build" if stage in ("BUILD_ERROR", "CONFIG_ERROR", "NO_APP_FILE") else "container"
    said = " ".join(str(raw.get("errorMessage") or "").split())[-300:]
    quoted = f" The hub says: {said}" if said else ""
    link = f"https://huggingface.co/spaces/{repo_id}?logs={which}"
    return (
        f"The Space does not run ({stage.lower().replace('_', ' ')}); its log is at {link}.{quoted} {AGAIN}"
    )
