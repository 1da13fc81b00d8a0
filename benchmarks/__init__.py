"""Measures what the documentation claims: calls on a real engine in real time, without a transport; and the
model compared with the reference implementation."""
