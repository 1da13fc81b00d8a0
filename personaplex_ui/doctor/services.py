"""Checks of settings and of external services: the hub, browsers, the relay, telephones.

Pure functions from settings and findings to a check.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from personaplex_ui.channels.browser.ice_servers import NO_TOKEN
from personaplex_ui.channels.twilio.account import PhoneAccount
from personaplex_ui.config.settings import LOOPBACK, BrowserCalls, Settings
from personaplex_ui.doctor.report import NOT_USED, OK, PROBLEM, WARNING, Check, check_of
from personaplex_ui.engine.engine import EngineState
from personaplex_ui.models.personaplex.hub.survey import Survey
from personaplex_ui.models.personaplex.loading.checkpoint_files import human_size

HEALTHY = "healthy"


@dataclass(frozen=True, slots=True)
class TwilioFacts:
    """``refusal``: why Twilio did not answer. ``status`` of the account: active, suspended or closed.
    ``webhook``: the URL Twilio requests when the number is called; None if the number is not the
    account's."""

    refusal: str = ""
    status: str = ""
    webhook: str | None = None


def check_settings(refusal: str, warnings: Sequence[str] = ()) -> list[Check]:
    """``refusal``: why the app does not start with them, one reason per line; empty if it does, with these
    ``warnings``."""
    if not refusal:
        can_start = Check("Settings", OK, "The app can start with these settings.")
        return [can_start, *(check_of("Settings", WARNING, warning) for warning in warnings)]
    checks = [check_of("Settings", PROBLEM, line) for line in refusal.splitlines()]
    step = "Correct it, in the environment or in .env (.env.example explains it)."
    return [check if check.next_step else replace(check, next_step=step) for check in checks]


def check_port(settings: Settings, refusal: str, own_server: str = "") -> Check:
    """``refusal``: why the server cannot listen there, empty if it can. ``own_server``: the state of this
    app, where that is what listens there already."""
    if refusal and own_server:
        sentence = f"This app runs on port {settings.port} already, and is {own_server}."
        if own_server in (HEALTHY, EngineState.LOADING.value, EngineState.DRAINING.value):
            return Check("Port", OK, sentence)
        return Check("Port", WARNING, sentence, "Its tab Server and its log say why.")
    if refusal:
        return check_of("Port", PROBLEM, refusal)
    return Check("Port", OK, f"Port {settings.port} of {settings.host} is free.")


def check_model(repo: str, found: Survey | None) -> Check:
    """Whether the weights are available. ``found``: None if no model will run."""
    if found is None:
        return Check("Model", NOT_USED, "The engine of these settings has no weights of PersonaPlex.")
    if found.refusal and found.is_complete:
        refused = check_of("Model", WARNING, found.refusal)
        sentence = f"{refused.sentence} The app goes on with what is in {found.folder}."
        return Check("Model", WARNING, sentence, refused.next_step)
    if found.refusal:
        return check_of("Model", PROBLEM, found.refusal)
    if found.size:
        return Check("Model", OK, f"The hub gives {repo}: its licence is accepted, if it asks for that.")
    if found.is_complete:
        return Check("Model", OK, f"All files of {repo} are in {found.folder}.")
    step = "Run this again without --offline to see whether they can be fetched."
    return Check("Model", WARNING, f"{found.folder} does not hold all files of {repo}.", step)


def check_disk(found: Survey | None) -> Check:
    """Whether there is room for the remaining download."""
    if found is None or (found.is_complete and not found.size):
        return Check("Disk", NOT_USED, "Nothing needs to be downloaded.")
    if not found.size:
        return Check("Disk", NOT_USED, "How large the missing files are is unknown: the hub did not say.")
    sentence = (
        f"{human_size(found.to_come)} of {human_size(found.size)} are to be fetched into {found.folder}, "
        f"which has {human_size(found.free)} free."
    )
    if found.to_come <= found.free:
        return Check("Disk", OK, sentence)
    return Check("Disk", PROBLEM, sentence, "Make room there, or set HF_HOME to a folder on a larger disk.")


def check_microphone(settings: Settings) -> Check:
    """Browsers give a page the microphone at https addresses, and at http ones of their own machine."""
    here = f"http://localhost:{settings.port}"
    if settings.server_url:
        return Check("Microphone", OK, f"Browsers give the microphone to {settings.server_url}.")
    if settings.host.strip("[]") in (*LOOPBACK, "localhost"):
        return Check("Microphone", OK, f"Browsers give the microphone to {here}, on this machine.")
    sentence = f"Browsers give the microphone to {here}, and from other machines to https addresses only."
    step = "For other machines, put HTTPS in front and set SERVER_URL to its address (docs/DEPLOYMENT.md)."
    return Check("Microphone", WARNING, sentence, step)


def check_operator(settings: Settings) -> Check:
    """How whoever runs the server opens its tabs Phone and Server."""
    if settings.api_key:
        return Check("Operator", OK, "The tabs Phone and Server open with API_KEY, at /operator.")
    return Check("Operator", OK, "The tabs Phone and Server open with the link that the log prints, once.")


def relay_can_be_asked(settings: Settings) -> bool:
    """Whether a TURN server is set, or provided for Spaces."""
    return any(url.startswith("turn") for url in settings.turn_urls) or (
        settings.space_id is not None and settings.hf_token is not None and not settings.turn_urls
    )


def check_relay(settings: Settings, trouble: str | None) -> Check:
    """``trouble``: why no server relays calls, empty if one does; None if none was asked."""
    if trouble:
        return check_of("Relay", PROBLEM, trouble)
    if relay_can_be_asked(settings):
        whose = "The TURN server" if settings.turn_urls else "The relay that HF_TOKEN opens"
        return Check("Relay", OK, f"{whose} {'was not asked' if trouble is None else 'relays calls'}.")
    if settings.browser_calls is BrowserCalls.WEBSOCKET:
        return Check("Relay", NOT_USED, "Pages call over the websocket, which needs no TURN server.")
    if settings.space_id and not settings.turn_urls:
        return check_of("Relay", PROBLEM, NO_TOKEN)
    if settings.server_url:
        sentence = "There is no TURN server: callers behind strict firewalls have to call over the websocket."
        step = "Set TURN_URLS, TURN_USERNAME and TURN_CREDENTIAL (docs/DEPLOYMENT.md), or leave it."
        return Check("Relay", WARNING, sentence, step)
    return Check("Relay", NOT_USED, "On this machine, and in its network, calls need no TURN server.")


def check_telephone(account: PhoneAccount, settings: Settings) -> Check:
    """Whether the telephone settings are complete."""
    if not (account.auth_token or account.account_sid):
        return Check("Telephone", NOT_USED, "No Twilio account is set up (docs/PHONE.md).")
    if settings.server_url is None:
        step = "Set SERVER_URL to its public address, as in https://example.org"
        return Check("Telephone", PROBLEM, "Twilio must reach this server, and SERVER_URL is not set.", step)
    missing = [*account.missing, *([] if settings.api_key else ["API_KEY"])]
    if missing:
        sentence = "Calls can be answered, but none can be made."
        return Check("Telephone", WARNING, sentence, f"To make calls, set {' and '.join(missing)}.")
    return Check("Telephone", OK, "Calls can be answered and made.")


def check_twilio(found: TwilioFacts | None, webhook: str) -> Check:
    """``found``: None if Twilio was not asked. ``webhook``: the URL it should request."""
    if found is None:
        return Check("Twilio", NOT_USED, "Twilio was not asked.")
    if found.refusal:
        return check_of("Twilio", PROBLEM, found.refusal)
    if found.status != "active":
        return Check("Twilio", PROBLEM, f"The Twilio account is {found.status}.", "Its console says why.")
    if found.webhook is None:
        sentence = "TWILIO_PHONE_NUMBER is not a number of this Twilio account."
        return Check("Twilio", PROBLEM, sentence, "Correct it: the console lists the account's numbers.")
    if found.webhook != webhook:
        step = f'Set "A call comes in" in Twilio\'s console to {webhook}'
        return Check("Twilio", WARNING, "Calls to TWILIO_PHONE_NUMBER are not answered here.", step)
    return Check("Twilio", OK, "Twilio accepts the keys, and calls to the number come here.")
