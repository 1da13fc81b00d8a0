"""Safe unpacking of tar archives."""
