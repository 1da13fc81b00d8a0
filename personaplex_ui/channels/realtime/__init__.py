"""OpenAI's Realtime protocol: a call over a websocket of JSON, for clients that were written for OpenAI."""
