"""What goes over each wire: bytes and JSON to events and back. No I/O, no asyncio, no torch."""
