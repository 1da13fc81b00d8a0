"""Answers a folder of recordings in Full-Duplex-Bench's layout: ``personaplex-ui offline folder``."""
