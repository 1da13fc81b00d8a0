"""Assembles the app, serves it, and shuts it down in order."""
