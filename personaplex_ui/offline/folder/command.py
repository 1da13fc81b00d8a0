"""``personaplex-ui offline folder``: options in, an exit code out."""

import sys
from collections.abc import Sequence

from personaplex_ui.offline.folder.arguments import read_folder_request


def main(arguments: Sequence[str]) -> int:
    """0, or 1 if a recording could not be answered. Raises PersonaplexError when nothing more can be."""
    request = read_folder_request(arguments)
    # The readers of sound and voices take a second to import, which --help does not need.
    from personaplex_ui.offline.folder.run import answer_folder, summary_of

    outcome = answer_folder(request)
    print(summary_of(outcome, request.folder), file=sys.stderr)
    return 1 if outcome.failed else 0
