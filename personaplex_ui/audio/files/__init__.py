"""Sound files that people upload: any format in, mono sound at 24 kHz out. No asyncio."""
