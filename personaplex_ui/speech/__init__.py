"""The parts of a conversation that any engine may use: words heard, answers found, sentences said."""
