"""Speech to text: Whisper on this machine's CPU, or a server over HTTP."""
