"""The soak: calls over every channel at once, for minutes, against the app as a process of its own."""
