"""``personaplex-ui offline report``: recordings in, duplex reports out, as text and as JSON."""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from personaplex_ui.audio.files.regular_file import open_regular
from personaplex_ui.audio.files.stereo_file import Channels, paired_blocks, stereo_blocks
from personaplex_ui.audio.frames import SAMPLE_RATE_HZ
from personaplex_ui.duplex.measure import measure
from personaplex_ui.duplex.report import DuplexReport
from personaplex_ui.duplex.words import NO_WORDS, AssistantWords, read_transcript
from personaplex_ui.errors import InvalidInput, PersonaplexError
from personaplex_ui.offline.path_words import readable
from personaplex_ui.offline.report_recordings import Recording, recordings_at
from personaplex_ui.offline.report_text import as_text

DESCRIPTION = "Measures how the caller and the assistant of a recording take turns."
EPILOG = """\
RECORDING is a stereo file, left the caller, right the assistant, or a folder of Full-Duplex-Bench's layout,
which is searched: input.wav is the caller, output.wav beside it the assistant, and output.json, if there is
one, the words; clean_input.wav likewise. What the figures mean: docs/EVALUATION.md.
"""
LARGEST_TRANSCRIPT_BYTES = 64_000_000


class CannotReport(PersonaplexError):
    """The report cannot be written where it was asked for."""


class Options(argparse.Namespace):
    recordings: list[Path]
    transcript: list[Path]
    json: Path | None = None


def report(arguments: Sequence[str]) -> int:
    """Measure all recordings that ``arguments`` name. The exit code: 0, or 1 if one could not be measured,
    which is told in a sentence; exits with 2 when the options are wrong.

    Raises:
        CannotReport: the JSON cannot be written.
    """
    options = _options(arguments)
    transcripts = options.transcript or [None] * len(options.recordings)
    reports: list[dict[str, Any]] = []
    failed = False
    for path, transcript in zip(options.recordings, transcripts, strict=True):
        try:
            found = recordings_at(path, transcript)
        except InvalidInput as error:
            print(f"{readable(path)}: {error}", file=sys.stderr)
            failed = True
            continue
        for name, sentence in found.unread:
            print(f"{name}: {sentence}", file=sys.stderr)
            failed = True
        for recording in found.recordings:
            try:
                measured = _measured(recording)
            except InvalidInput as error:
                print(f"{recording.name}: {error}", file=sys.stderr)
                failed = True
                continue
            reports.append({"file": recording.name} | measured.record())
            print(as_text(recording.name, measured))
    if options.json is not None and reports:
        _write(options.json, json.dumps(reports, ensure_ascii=False, indent=2) + "\n")
    return 1 if failed else 0


def _options(arguments: Sequence[str]) -> Options:
    parser = argparse.ArgumentParser(
        prog="personaplex-ui offline report", description=DESCRIPTION, epilog=EPILOG, allow_abbrev=False
    )
    parser.add_argument("recordings", nargs="+", type=_path, metavar="RECORDING")
    parser.add_argument(
        "--transcript",
        type=_path,
        action="append",
        default=[],
        metavar="FILE",
        help="what the assistant said: JSON of the app or of Full-Duplex-Bench; once for each recording",
    )
    parser.add_argument("--json", type=_path, metavar="FILE", help="write the reports there, as a list")
    options = parser.parse_args(arguments, namespace=Options())
    if options.transcript and len(options.transcript) != len(options.recordings):
        parser.error(
            f"--transcript must be given once for each recording, in the same order: "
            f"{len(options.transcript)} and {len(options.recordings)} were given."
        )
    return options


def _path(value: str) -> Path:
    if not value or "\0" in value:
        raise argparse.ArgumentTypeError("it must be a path.")
    return Path(value).expanduser()


def _measured(recording: Recording) -> DuplexReport:
    """Raises InvalidInput."""
    if recording.assistant is None:
        blocks = stereo_blocks(recording.sound)
    else:
        blocks = paired_blocks(recording.sound, recording.assistant)
    return measure(_with_progress(blocks), _words(recording.words))


def _words(path: Path | None) -> AssistantWords:
    if path is None:
        return NO_WORDS
    try:
        with open_regular(path) as file:
            text = file.read(LARGEST_TRANSCRIPT_BYTES + 1)
    except OSError as error:
        raise InvalidInput("transcript", f"{path} cannot be read ({error.strerror}).") from error
    if len(text) > LARGEST_TRANSCRIPT_BYTES:
        raise InvalidInput("transcript", f"{path} is larger than a transcript can be.")
    try:
        return read_transcript(text)
    except InvalidInput as error:
        raise InvalidInput("transcript", f"{path}: {error}") from error


def _with_progress(blocks: Iterator[Channels]) -> Iterator[Channels]:
    with tqdm(unit=" s", disable=None, leave=False, delay=2.0) as bar:
        for block in blocks:
            yield block
            bar.update(len(block) // SAMPLE_RATE_HZ)


def _write(path: Path, text: str) -> None:
    """Replaces the file at once; anything but a file, such as /dev/stdout, is written to."""
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
            return
        path = path.resolve()  # a link stays a link
        beside = path.with_name(f".{path.name[:200]}.{os.getpid()}.part")
        try:
            beside.write_text(text, encoding="utf-8")
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise CannotReport(
            f"{path} cannot be written ({error.strerror}). Make room or grant access, or name another one."
        ) from error
