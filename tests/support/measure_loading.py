"""Loads a language model in a process of its own and prints the memory that it took, in bytes, as JSON.

``python -m tests.support.measure_loading WEIGHTS CONFIG DTYPE QUANTIZE``: CONFIG is JSON, DTYPE a name of
torch's, QUANTIZE none or int8.
"""

import json
import sys
import threading
from pathlib import Path

import torch

from personaplex_ui.models.personaplex.loading.checkpoint import load_language_model
from personaplex_ui.models.personaplex.loading.checkpoint_files import CheckpointFiles


def anonymous_bytes() -> int:
    """The memory of this process, without the pages of files, which the system may drop at any time."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))


def main() -> None:
    torch.set_num_threads(1)
    weights, config, dtype = Path(sys.argv[1]), json.loads(sys.argv[2]), getattr(torch, sys.argv[3])
    files = CheckpointFiles(config, weights, weights, weights, None, None, "measured", "")
    seen = [anonymous_bytes()]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.002):
            seen.append(anonymous_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    model = load_language_model(
        files, torch.device("cpu"), dtype, lambda sentence, share: None, quantize=sys.argv[4] == "int8"
    )
    seen.append(anonymous_bytes())
    done.set()
    watcher.join()
    kept = sum(tensor.nbytes for tensor in model.state_dict().values())
    print(json.dumps({"kept": kept, "peak": max(seen) - seen[0]}))


if __name__ == "__main__":
    main()
