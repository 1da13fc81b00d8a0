"""The paths that Twilio is told of: its webhooks, and the websocket of its media streams."""

INBOUND_PATH = "/twilio/inbound"
ENDED_PATH = "/twilio/ended"
STATUS_PATH = "/twilio/status"
ANSWERED_PATH = "/twilio/outbound/answered"
TRANSFERRED_PATH = "/twilio/transferred"
STREAM_PATH = "/twilio/media-stream"
