"""Calls from Moshi clients: Ogg/Opus over a websocket."""
