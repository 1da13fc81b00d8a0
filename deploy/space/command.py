"""The command: its options, and the order of the steps."""

import argparse
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from huggingface_hub import constants, get_token
from huggingface_hub.utils import logging
from huggingface_hub.utils.tqdm import disable_progress_bars

from deploy.space.contents import Contents, find_contents
from deploy.space.errors import AGAIN, TOKENS, PushError
from deploy.space.hub import SpaceHub
from deploy.space.prices import cost_of, unknown_hardware
from deploy.space.settings import PRIVATE, SECRETS, Wanted, read_wanted
from deploy.space.waiting import wait_until_ready
from personaplex_ui import __version__

ROOT = Path(__file__).resolve().parents[2]
USUAL_HARDWARE = "l4x1"
NAME = re.compile(r"([A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]{0,95}")


def main(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    sleep: Callable[[float], None] = time.sleep,
    root: Path = ROOT,
) -> int:
    """0; 1 after a sentence that says what failed; 130 after Ctrl-C. An unknown option ends it with 2."""
    options = _parser().parse_args(arguments)
    wanted = Wanted({}, {}, None)

    def say(line: str) -> None:
        print(wanted.hide(line), flush=True)

    try:
        _check(options)
        wanted = read_wanted(environment, root, with_storage=options.storage is not None)
        if options.delete:
            return _delete(options, wanted, say)
        contents = find_contents(root, options.with_voices, options.with_screenshots)
        if options.dry_run:
            _tell(options, wanted, contents, say)
            return 0
        return _run(options, wanted, contents, say, sleep, root)
    except PushError as error:
        print(wanted.hide(str(error)), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted. Run it again; what is there already stays.", file=sys.stderr)
        return 130


def _run(
    options: argparse.Namespace,
    wanted: Wanted,
    contents: Contents,
    say: Callable[[str], None],
    sleep: Callable[[float], None],
    root: Path,
) -> int:
    hub = _signed_in(options, wanted, say)
    there = hub.look(to_delete=False)
    sleep_sec = None if options.sleep_minutes is None else options.sleep_minutes * 60
    if there is None:
        hub.create(options.hardware or USUAL_HARDWARE, sleep_sec, options.private)
    else:
        say(f"Space {hub.repo_id}: is there")
        hub.set_hardware(options.hardware, sleep_sec)
    if options.storage:
        hub.set_storage(options.storage)
    # The files last, so that the first build has all.
    hub.set_variables(wanted.variables, wanted.secrets)
    hub.set_secrets(wanted.secrets, options.renew_secrets)
    for path in contents.left_out:
        say(f"File {path}: stays here, since it is not in git")
    _upload(hub, contents, root, there.sha if there else None)

    page = f"https://huggingface.co/spaces/{hub.repo_id}"
    address = None
    if not options.no_wait:
        key = (
            wanted.push_token or get_token() if _is_private(options, there) else wanted.secrets.get("API_KEY")
        )
        address = wait_until_ready(hub, key, options.wait_minutes, say, sleep)
    runtime = hub.runtime()
    hardware = str(runtime.requested_hardware or runtime.hardware or options.hardware or USUAL_HARDWARE)
    _report(page, address, hardware, runtime.sleep_time, wanted, say)
    return 0


def _signed_in(options: argparse.Namespace, wanted: Wanted, say: Callable[[str], None]) -> SpaceHub:
    if wanted.push_token is None and get_token() is None:
        raise PushError(
            f"There is no token. Make one of the type Write at {TOKENS} and give it as HF_PUSH_TOKEN, in the "
            "environment or in .env, or sign in with 'hf auth login'."
        )
    # The steps tell what is done; the client's own bars and advice would come between.
    disable_progress_bars()
    logging.set_verbosity_error()
    hub = SpaceHub(constants.ENDPOINT, wanted.push_token, options.space, say)
    hub.sign_in(None if options.delete else options.hardware)
    return hub


def _upload(hub: SpaceHub, contents: Contents, root: Path, before: str | None) -> None:
    with ExitStack() as stack:
        try:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            contents.write_to(folder, root)
        except OSError as error:
            raise PushError(
                f"Stopped while copying the files: {error.strerror or error}. It needs "
                f"{contents.total_bytes / 1e6:.0f} MB in the folder for temporary files; TMPDIR names "
                f"another one. {AGAIN}"
            ) from error
        hub.upload(folder, f"personaplex_ui {__version__}", before)


def _is_private(options: argparse.Namespace, there: object) -> bool:
    private = getattr(there, "private", None) if there is not None else options.private
    return bool(private)


def _delete(options: argparse.Namespace, wanted: Wanted, say: Callable[[str], None]) -> int:
    if options.dry_run:
        say(
            f"Delete:     {options.space}, with its settings and storage, if it holds this app; nothing was "
            "done"
        )
        return 0
    hub = _signed_in(options, wanted, say)
    if hub.look(to_delete=True) is None:
        say(f"Space {hub.repo_id}: is not there")
        return 0
    if not options.yes:
        if not sys.stdin.isatty():
            raise PushError("Nothing was deleted: nobody can be asked here; give --yes as well.")
        answer = input(f"This deletes {hub.repo_id} with its settings and storage. Type its name to go on: ")
        if answer.strip() != hub.repo_id:
            raise PushError("Nothing was deleted.")
    hub.delete()
    say(f"Space {hub.repo_id}: deleted")
    return 0


def _report(
    page: str,
    address: str | None,
    hardware: str,
    sleep_sec: int | None,
    wanted: Wanted,
    say: Callable[[str], None],
) -> None:
    say("")
    say(f"The page:      {page}")
    if address:
        say(f"By itself:     {address}, where /operator opens the tabs Phone and Server")
    say(f"Cost:          {cost_of(hardware, None if not sleep_sec or sleep_sec < 0 else sleep_sec // 60)}")
    if "HF_TOKEN" not in wanted.secrets:
        say("Next:          set HF_TOKEN, which fetches the weights and opens the relay, and run this again")
    if "APP_PASSWORD" not in wanted.secrets:
        say("Open:          anybody with the address can call, until APP_PASSWORD is set")
    if address and "TWILIO_AUTH_TOKEN" in wanted.secrets:
        say(f"Twilio:        'A call comes in', Webhook, HTTP POST: {address}/twilio/inbound")


def _tell(
    options: argparse.Namespace, wanted: Wanted, contents: Contents, say: Callable[[str], None]
) -> None:
    paths = ("README.md", *contents.paths)
    for line in paths if options.list_files else _by_folder(paths):
        say(f"File:       {line}")
    for path in contents.left_out:
        say(f"Not in git: {path}, which stays here")
    say(f"Space:      {options.space}, made if it is not there")
    say(f"Hardware:   {options.hardware or f'{USUAL_HARDWARE} if it is made now, else as it is'}")
    say(f"            {cost_of(options.hardware or USUAL_HARDWARE, options.sleep_minutes)}")
    if unknown := unknown_hardware(options.hardware):
        say(f"            {unknown}")
    if options.storage:
        say(f"Storage:    {options.storage}, at /data")
    for name in wanted.secrets:
        say(f"Secret:     {name} = ***")
    if "HF_TOKEN" not in wanted.secrets:
        say(
            "Missing:    the secret HF_TOKEN, which fetches the weights and opens the relay; "
            "set it before you push"
        )
    for name, value in wanted.variables.items():
        say(f"Variable:   {name} = {value}, which the hub shows and copies into duplicates")
    say(f"Altogether: {len(paths)} files, {contents.total_bytes / 1e6:.1f} MB; nothing was done")


def _by_folder(paths: Sequence[str]) -> Iterator[str]:
    """The files at the top, and how many there are in each folder there."""
    for folder, count in Counter(path.partition("/")[0] for path in paths).items():
        yield folder if folder in paths else f"{folder}/ with {count} file{'' if count == 1 else 's'}"


def _check(options: argparse.Namespace) -> None:
    if not NAME.fullmatch(options.space):
        raise PushError(f"{options.space!r} cannot be the name of a Space; it looks like YOU/personaplex.")
    if options.hardware == "cpu-basic" and options.sleep_minutes is not None:
        raise PushError(
            "cpu-basic sleeps after two days, which cannot be changed; leave --sleep-minutes out."
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deploy/space/push.py",
        description="Make or update a Hugging Face Space from this repository, and wait until it takes calls",
        epilog="Settings come from the environment, then from .env. Secrets at the hub: "
        f"{', '.join((*SECRETS, *PRIVATE))}.",
    )
    parser.add_argument(
        "space", nargs="?", default="personaplex", help="YOU/NAME, or NAME (default: personaplex)"
    )
    parser.add_argument("--hardware", help=f"default: {USUAL_HARDWARE} when it is made, then as it is")
    parser.add_argument(
        "--storage", choices=("small", "medium", "large"), help="persistent storage, at /data"
    )
    parser.add_argument(
        "--sleep-minutes", type=_minutes, help="asleep so long after the last visitor (default: never)"
    )
    parser.add_argument("--private", action="store_true", help="when it is made: only for you")
    parser.add_argument(
        "--renew-secrets", action="store_true", help="give secrets again that are there already"
    )
    parser.add_argument("--with-voices", action="store_true", help="your own voices in voices/, too")
    parser.add_argument("--with-screenshots", action="store_true", help="the pictures of docs/, too")
    parser.add_argument("--no-wait", action="store_true", help="do not wait until calls can be taken")
    parser.add_argument("--wait-minutes", type=_minutes, default=60, help="how long at most (default: 60)")
    parser.add_argument("--dry-run", action="store_true", help="tell what would be done; no network")
    parser.add_argument(
        "--list-files", action="store_true", help="with --dry-run: each file, not only how many in a folder"
    )
    parser.add_argument("--delete", action="store_true", help="delete the Space; asks first")
    parser.add_argument("--yes", action="store_true", help="with --delete: do not ask")
    return parser


def _minutes(text: str) -> int:
    minutes = int(text)
    if not 1 <= minutes <= 10_080:
        raise argparse.ArgumentTypeError("must be 1 to 10080, which is a week")
    return minutes
