"""Puts the parts of the app together, serves it, and ends it in order."""
