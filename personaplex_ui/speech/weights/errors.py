"""What is said where weights cannot be had."""

import errno

from personaplex_ui.errors import PersonaplexError


class WeightsMissing(PersonaplexError, code="weights_missing"):
    """Weights are not there, and could not be fetched; the sentence says why, and what to do."""


class SourceFailed(Exception):
    """One source did not give the file. The message is a clause, as in ``the hub cannot be reached``."""


def folder_trouble(error: OSError, folder: str) -> WeightsMissing:
    """What a failed write into ``folder``, as people call it, says."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return WeightsMissing(
                f"The disk of {folder} is full, so weights could not be fetched. Make room there, or choose "
                "a folder on a larger disk."
            )
        case errno.EACCES | errno.EPERM | errno.EROFS | errno.ENOTDIR | errno.EEXIST:
            return WeightsMissing(
                f"Weights cannot be written to {folder}: {error.strerror}. Make it a folder that this user "
                "can write to, or choose another."
            )
        case _:
            return WeightsMissing(
                f"Weights could not be kept in {folder}: {error.strerror or 'the disk failed'}. Check that "
                "disk, or choose another folder."
            )
