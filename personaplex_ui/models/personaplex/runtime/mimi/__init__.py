"""Mimi frame by frame: our own streaming loop over the weights of moshi's ``MimiModel``."""
