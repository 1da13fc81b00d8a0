"""Text files of the operator, from which answers are taken: read once, cut into passages, found by words."""
