"""Whole clips instead of live calls, and the previews of voices."""
