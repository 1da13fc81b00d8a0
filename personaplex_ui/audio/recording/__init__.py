"""The stereo recording of a call, written while it runs."""
