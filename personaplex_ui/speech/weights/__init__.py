"""Weights of small models: fetched once, checked by their hashes, kept in a folder."""
