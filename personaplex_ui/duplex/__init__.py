"""The duplex report: how two sides of a recording take turns, in figures."""
