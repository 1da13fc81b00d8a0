"""The GPU as decisions see it: its memory, its bandwidth, its kind.

A known GPU has its bandwidth from a table, so that no update of driver or PyTorch changes a decision; others
are asked, through CUDA's driver, since PyTorch 2.9 does not tell.
"""

import ctypes
from dataclasses import dataclass
from typing import Any, cast

import torch

from personaplex_ui.models.personaplex.gpu_driver import GPU_DRIVER

KNOWN_GB_PER_SEC = {
    "T4": 320,
    "L4": 300,
    "A10": 600,
    "A10G": 600,
    "L40": 864,
    "L40S": 864,
    "A100-PCIE-40GB": 1_555,
    "A100-SXM4-40GB": 1_555,
    "A100 80GB PCIe": 1_935,
    "A100-SXM4-80GB": 2_039,
    "H100 PCIe": 2_039,
    "H100 80GB HBM3": 3_352,
    "H100 NVL": 3_938,
    "H200": 4_800,
    "GeForce RTX 3090": 936,
    "GeForce RTX 4090": 1_008,
    "GeForce RTX 5090": 1_792,
}
"""By PyTorch's name without "NVIDIA" and "Tesla". Source: NVIDIA's data sheets."""

MEMORY_CLOCK_KHZ, BUS_WIDTH_BITS = 36, 37
"""``CUdevice_attribute``: ``MEMORY_CLOCK_RATE`` and ``GLOBAL_MEMORY_BUS_WIDTH``, of ``cuda.h``."""


@dataclass(frozen=True, slots=True)
class GpuFacts:
    """``total`` and ``free``: bytes of memory. ``bandwidth``: peak bytes a second, 0 if unknown."""

    name: str
    capability: tuple[int, int]
    total: int
    free: int
    bandwidth: float = 0.0

    @property
    def has_bfloat16(self) -> bool:
        """Others emulate it, which is slow."""
        return self.capability >= (8, 0)


def read_gpu(device: torch.device) -> GpuFacts:
    """Starts CUDA. Raises RuntimeError: it does not start."""
    name = torch.cuda.get_device_name(device)
    free, total = torch.cuda.mem_get_info(device)
    bandwidth = known_bandwidth(name) or _asked_bandwidth(device.index or 0)
    return GpuFacts(name, torch.cuda.get_device_capability(device), total, free, bandwidth)


def known_bandwidth(name: str) -> float:
    """Bytes a second; 0 if the GPU is not in the table."""
    for maker in ("NVIDIA ", "Tesla "):
        name = name.removeprefix(maker)
    return KNOWN_GB_PER_SEC.get(name, 0) * 1e9


def bandwidth_of(clock_khz: int, width_bits: int) -> float:
    """Bytes a second of memory that transfers twice a clock, as all of it does."""
    return 2 * clock_khz * 1_000 * width_bits / 8


def _asked_bandwidth(index: int) -> float:
    # CUDA has been started by PyTorch, in this process, so both count the devices alike.
    try:
        driver: Any = ctypes.CDLL(GPU_DRIVER)
    except OSError:
        return 0.0
    gpu, clock, width = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    asked = [
        cast(int, driver.cuDeviceGet(ctypes.byref(gpu), index)),
        cast(int, driver.cuDeviceGetAttribute(ctypes.byref(clock), MEMORY_CLOCK_KHZ, gpu)),
        cast(int, driver.cuDeviceGetAttribute(ctypes.byref(width), BUS_WIDTH_BITS, gpu)),
    ]
    return 0.0 if any(asked) else bandwidth_of(clock.value, width.value)
