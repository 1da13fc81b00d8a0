"""Access control: who may come in, where a request is from, and how much it may send."""
