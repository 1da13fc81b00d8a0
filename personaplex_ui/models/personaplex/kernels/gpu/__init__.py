"""The Triton kernels. Import from here only where Triton can be imported, which ``availability`` knows.

Each file has kernels and the functions that launch them. Tests run them in Triton's interpreter, and compile
them for GPUs that are not there.
"""
