"""``bench ticks``: what a tick launches, on any machine, and how long it takes on a GPU."""
