"""The blocks of ``bench ticks``: one module each, with ``measure``."""
