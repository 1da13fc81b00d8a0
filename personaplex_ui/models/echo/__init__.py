"""The echo engine: a speech model that needs no GPU and repeats what it hears, at the voice's pitch."""
