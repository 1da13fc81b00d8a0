"""GPUs as PyTorch describes them, for what is decided by their kind.

The memory is what PyTorch reports on machines with them, in the sentences of ``OutOfMemoryError``.
"""

from personaplex_ui.models.personaplex.loading.gpu import GpuFacts, known_bandwidth

CONTEXT = 500_000_000
GIB = 2**30


def gpu(name: str, capability: tuple[int, int], total_gib: float) -> GpuFacts:
    """One that nothing else uses."""
    total = int(total_gib * GIB)
    return GpuFacts(name, capability, total, total - CONTEXT, known_bandwidth(name))


T4 = gpu("Tesla T4", (7, 5), 14.56)
L4 = gpu("NVIDIA L4", (8, 9), 22.03)
A10G = gpu("NVIDIA A10G", (8, 6), 22.06)
L40S = gpu("NVIDIA L40S", (8, 9), 44.40)
RTX_4090 = gpu("NVIDIA GeForce RTX 4090", (8, 9), 23.64)
A100_40 = gpu("NVIDIA A100-SXM4-40GB", (8, 0), 39.38)
A100_80 = gpu("NVIDIA A100-SXM4-80GB", (8, 0), 79.15)
H100 = gpu("NVIDIA H100 80GB HBM3", (9, 0), 79.10)
H200 = gpu("NVIDIA H200", (9, 0), 139.80)
