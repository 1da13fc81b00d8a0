"""The cascade engine: a speech model made of parts. One hears words, one finds an answer, one says it."""
