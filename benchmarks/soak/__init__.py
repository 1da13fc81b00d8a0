"""The soak: calls through every door at once, for minutes, against the app as a process of its own."""
