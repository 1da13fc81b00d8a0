"""Says sentences: text as people write it, its words, their sounds, and a voice."""
