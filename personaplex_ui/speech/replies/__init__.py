"""Who finds the answer: from the role's own facts, from a server with a language model, or the one in place
of the other."""
