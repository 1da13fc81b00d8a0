"""Blocking work for callers, in threads of its own: jobs that wait in a queue, and who does them."""
