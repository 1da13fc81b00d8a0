"""The sentences that Twilio's voice says on the telephone when the assistant cannot speak."""

RECORDED = "This call may be recorded."
BUSY = "All lines are busy. Please call again in a few minutes."
BUSY_AFTER_ALL = "We have called you, but all lines have just become busy. We are sorry for the trouble."
NOT_READY = "The assistant is not ready yet. Please call again in a few minutes."
RENEWED = "The assistant is being renewed. Please call again in a minute."
CLIPS_ONLY = "This server answers recordings only and cannot hold a telephone call. Please tell its owner."
CANNOT_BE_USED = "This number is set up with a voice or a role that cannot be used. Please tell its owner."
FORGOTTEN = "This call was not answered in time. Goodbye."
CUT_OFF = "The call was cut off. Please call again in a minute."
NOT_CONNECTED = "The call could not be connected. Please call again."
UNANSWERED = {
    "busy": "The number was busy.",
    "no-answer": "Nobody answered.",
    "failed": "The call could not be connected.",
    "canceled": "The call was cancelled before it was answered.",
}
LOST = "The connection was lost. Please call again."

TRANSFERRED = "The caller was put through to a person."
"""Why the assistant's part of the call ended; the caller hears the next one."""
CONNECTING = "One moment please, you are being connected."
NOBODY_THERE = "I am sorry, nobody is there to talk to you now. Somebody is there again {when}."
NO_TRANSFER_TODAY = "I am sorry, I cannot put you through to anybody today."
NO_MORE_TRANSFERS = "I am sorry, I have tried several times, and cannot put you through now."
NOT_REACHED = {
    "busy": "I am sorry, the line is busy.",
    "no-answer": "I am sorry, nobody answered.",
    "failed": "I am sorry, the connection failed.",
    "canceled": "I am sorry, the connection was called off.",
}
"""By Twilio's ``DialCallStatus``."""
BACK = "You are back with the assistant."
CALL_AGAIN = "Please call again."
