"""Puts the app together, serves it, and shuts it down in order."""
