"""One call over Twilio's media stream: messages, sound, what was heard, how it begins and ends."""
