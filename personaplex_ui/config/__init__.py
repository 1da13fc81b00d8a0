"""Settings from the environment, and the environment that libraries need before they are imported."""
