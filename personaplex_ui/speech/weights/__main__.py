"""``python -m personaplex_ui.speech.weights``: fetches weights, all of them or those that are named."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from personaplex_ui.errors import PersonaplexError
from personaplex_ui.speech.weights.registries import Registries
from personaplex_ui.speech.weights.store import WeightStore, default_folder


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 if all that was asked for is there."""
    parser = argparse.ArgumentParser(
        prog="python -m personaplex_ui.speech.weights",
        description="Fetches the weights of the speech models that run without a GPU, and checks them.",
    )
    parser.add_argument("names", nargs="*", help="which, as in whisper-tiny.en; all if none is named")
    parser.add_argument(
        "--folder",
        type=Path,
        help="where to keep them; else SPEECH_WEIGHTS_DIR, or ~/.cache/personaplex-ui/weights",
    )
    given = parser.parse_args(arguments)
    progress = Progress()
    try:
        folder: Path = given.folder or Path(os.environ.get("SPEECH_WEIGHTS_DIR") or default_folder())
        store = WeightStore(folder.absolute(), progress, registries=Registries.from_environment(os.environ))
        for name in given.names or store.names():
            print(f"{name}: {store.path_of(name)}", flush=True)
    except PersonaplexError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


class Progress:
    """Prints what is done, one line for each tenth."""

    def __init__(self) -> None:
        self._last = ("", -1)

    def __call__(self, sentence: str, fraction: float) -> None:
        step = (sentence.partition(":")[0], int(fraction * 10))
        if step != self._last:
            self._last = step
            print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
