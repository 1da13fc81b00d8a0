"""The paths that Twilio is told of: its webhooks, and the websocket of its media streams.

They are here and not with the telephone, since what asks for a password, and what takes an instance's path
off, have to know them too.
"""

INBOUND_PATH = "/twilio/inbound"
ENDED_PATH = "/twilio/ended"
STATUS_PATH = "/twilio/status"
ANSWERED_PATH = "/twilio/outbound/answered"
TRANSFERRED_PATH = "/twilio/transferred"
STREAM_PATH = "/twilio/media-stream"

FOLLOWING = (ENDED_PATH, STATUS_PATH, ANSWERED_PATH, TRANSFERRED_PATH)
"""What Twilio asks later about a call that it has."""

WEBHOOKS = (INBOUND_PATH, *FOLLOWING)
"""All that carry Twilio's signature."""
