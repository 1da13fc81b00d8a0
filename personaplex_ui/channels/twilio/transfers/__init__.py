"""Callers who want a person: who that is, when they are there, and how they are put through."""
