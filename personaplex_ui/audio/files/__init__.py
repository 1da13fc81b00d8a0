"""Sound files that people upload: any format in, mono at 24 kHz out. Independent of asyncio."""
