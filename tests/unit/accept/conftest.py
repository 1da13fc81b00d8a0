"""moshi's compiler would take half a minute for its first frame."""

import os

os.environ["NO_TORCH_COMPILE"] = "1"
