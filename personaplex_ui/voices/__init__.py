"""The voices a caller can choose: the catalogue, added files, and users' recordings. No torch."""
