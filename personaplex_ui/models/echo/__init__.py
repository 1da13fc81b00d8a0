"""The echo engine: a speech model that needs no GPU and says back what it hears, at the voice's pitch."""
