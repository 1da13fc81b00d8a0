"""The name of NVIDIA's driver, which needs no PyTorch to be found."""

import sys

GPU_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
