"""Somebody to ask: a replier is asked what the assistant does not know in a call, and the answer is said."""
