"""Calls: the life of one conversation, from waiting for a slot to the goodbye. Depends on no wire."""
