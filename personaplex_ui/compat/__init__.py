"""Workarounds for libraries, each with its version, the library's issue, and a test that says when to remove
it."""
