"""Variables of the Hugging Face hub's client that would end the start: Gradio imports it, and it reads them.

Knows their names; imports nothing of the hub.
"""

import re
from collections.abc import Iterator, MutableMapping

WHOLE_NUMBERS = ("HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT", "HF_HUB_LOCAL_DIR_AUTO_SYMLINK_THRESHOLD")


def settle_hub_variables(environment: MutableMapping[str, str]) -> Iterator[str]:
    """Take out of ``environment`` what is empty, as compose files leave it, and numbers that are none. Yields
    sentences for the log."""
    for name in [name for name, value in environment.items() if name.startswith("HF_") and not value.strip()]:
        del environment[name]  # the client would take it for a folder or an address
    for name in WHOLE_NUMBERS:
        value = environment.get(name)
        if value is not None and not re.fullmatch(r"\s*\+?0*[1-9][0-9]{0,8}\s*", value):
            del environment[name]
            yield f"{name} is {value[:40]!r}, but it must be a whole number above 0. It is left aside."
