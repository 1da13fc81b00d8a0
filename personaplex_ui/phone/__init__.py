"""Calls over the telephone network: who may call, as whom the assistant answers, and calls that we dial.

Knows Twilio's words and its REST API; no web server, and no sound on the wire.
"""
