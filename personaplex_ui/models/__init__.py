"""The speech models the engine can run."""
