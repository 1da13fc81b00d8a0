"""The engine: owns the speech model and the one thread that may touch it."""
