"""A telephone number for a demo, lent by FastRTC's phone service and reached through a tunnel."""
