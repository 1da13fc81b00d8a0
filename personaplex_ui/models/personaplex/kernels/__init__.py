"""The model's fused operations: each a facade, its plain PyTorch twin and, for GPUs, a Triton kernel.

On CPU tensors a facade calls the twin. On CUDA tensors it calls an operator of the namespace ``personaplex``,
so that a trace of a pretended device counts it as one. What is here knows shapes and numbers, no model.
"""
