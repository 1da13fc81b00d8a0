"""The stereo recording of a call, written as it goes."""
