"""Calls: the life of one conversation, from asking for a line until the goodbye. Knows no wire."""
