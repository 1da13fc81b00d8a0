"""Checks of the cascade's weights, and of the servers that hear, answer and speak instead of them.

Pure functions from findings to a check. No key is passed in.
"""

from collections.abc import Mapping

from personaplex_ui.doctor.report import NOT_USED, OK, PROBLEM, WARNING, Check
from personaplex_ui.models.personaplex.loading.checkpoint_files import human_size
from personaplex_ui.speech.server_check import ServerFound, ServerState
from personaplex_ui.speech.weights.store import COMMAND
from personaplex_ui.speech.weights.survey import WeightSurvey

NAME = "Speech weights"
DOES = {"LLM": "finds answers", "STT": "hears words", "TTS": "speaks"}
"""By the beginning of the settings' names."""


def check_weights(found: WeightSurvey | None, wanted: bool) -> Check:
    """``found``: None if no weights are used. ``wanted``: without them the app does not start; else the echo
    engine stands in."""
    if found is None:
        return Check(NAME, NOT_USED, "The engine of these settings needs no weights of small models.")
    verdict = PROBLEM if wanted else WARNING
    if found.is_complete:
        return Check(NAME, OK, f"All are in {found.folder}, and none is altered.")
    what = f"The file {found.altered[0]} was altered" if found.altered else _missing(found)
    if found.trouble:
        sentence = f"{what}, and {found.folder} cannot be written to: {found.trouble}."
        return Check(
            NAME, verdict, sentence, "Set SPEECH_WEIGHTS_DIR to a folder that the server may write to."
        )
    if found.free < found.needed:
        sentence = (
            f"{what}. Fetching it takes {human_size(found.needed)} on the disk of {found.folder}, which has "
            f"{human_size(found.free)} free."
        )
        return Check(NAME, verdict, sentence, "Make room, or set SPEECH_WEIGHTS_DIR to a larger disk.")
    if found.unreachable and not found.reachable:
        sentence = f"{what}, and no source can be used: {'; '.join(found.unreachable)}."
        step = f"Connect this machine once and run {COMMAND}, or copy {found.folder} from another machine."
        return Check(NAME, verdict, sentence, step)
    if not found.reachable:
        step = "Run this again without --offline to see whether it can be fetched."
        return Check(NAME, WARNING, f"{what}.", step)
    lacking = f" ({'; '.join(found.unreachable)})" if found.unreachable else ""
    sentence = f"{what}; it can be fetched from {' and '.join(found.reachable)}{lacking}."
    return Check(NAME, WARNING, sentence, f"The start does so, or do it now: {COMMAND}")


def _missing(found: WeightSurvey) -> str:
    names = " and ".join(found.missing)
    return f"The weights {names} are not in {found.folder}"


def check_server(part: str, model: str, found: ServerFound | None) -> Check:
    """``part``: ``LLM``, ``STT`` or ``TTS``. ``found``: None if it was not asked."""
    name, address, key = f"{part} server", f"{part}_BASE_URL", f"{part}_API_KEY"
    who = f"The server that {DOES[part]}"
    if found is None:
        return Check(name, NOT_USED, f"{who} was not asked.")
    match found.state:
        case ServerState.GOOD:
            return Check(name, OK, f"{who} answers, and has the model {model}.")
        case ServerState.SILENT:
            return Check(name, OK, f"{who} answers. It does not say which models it has.")
        case ServerState.MODEL_UNKNOWN:
            sentence = f"{who} does not list the model {model}. It has {', '.join(found.models)}."
            return Check(
                name, WARNING, sentence, f"Correct {part}_MODEL, unless that is another name of one."
            )
        case ServerState.OVERLOADED:
            sentence = f"{who} is asked too often, or its quota is used up."
            return Check(name, WARNING, sentence, "Wait, or raise the limit there.")
        case state:
            sentence, step = TROUBLES[state]
            return Check(name, PROBLEM, f"{who} {sentence}.", step.format(address=address, key=key))


TROUBLES: Mapping[ServerState, tuple[str, str]] = {
    ServerState.UNREACHABLE: ("cannot be reached", "Start it, or correct {address}."),
    ServerState.TOO_SLOW: ("does not answer in time", "Look at its log, or correct {address}."),
    ServerState.KEY_REFUSED: ("does not accept the key", "Correct {key}."),
    ServerState.KEY_UNUSABLE: ("needs another key: no key has such characters", "Copy {key} again."),
    ServerState.IN_TROUBLE: ("is in trouble itself", "Look at its log, or try again later."),
    ServerState.ELSEWHERE: ("sends us elsewhere", "Set {address} to its final address."),
    ServerState.NO_API: (
        "does not answer as OpenAI's API does",
        "Set {address} to the address of the API, which often ends in /v1.",
    ),
}
