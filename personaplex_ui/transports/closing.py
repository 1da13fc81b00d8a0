"""How websockets end, whatever protocol they carry."""

CLOSED_ON_PURPOSE = (1000, 1001, 1005)
"""Codes of clients that closed; with any other the connection broke."""
