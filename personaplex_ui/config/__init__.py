"""Settings from the environment, and what libraries need of the environment before they are imported."""
