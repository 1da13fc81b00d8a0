"""The channels through which calls come in. A channel converts its wire format and never sees the model."""
