"""The API for programs that take turns: transcribe, chat, and a whole turn with sound, at ``/api/v1``."""
