"""Calls from the page: WebRTC through FastRTC."""
