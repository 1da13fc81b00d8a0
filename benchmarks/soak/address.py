"""Where the callers of a soak call. Values only."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Server:
    """``public_url``: what webhooks are signed for. ``voice`` keeps the pitch of what it says back."""

    url: str
    public_url: str
    voice: str
    twilio_auth_token: str

    @property
    def websocket_url(self) -> str:
        return self.url.replace("http", "ws", 1)
