"""Measures what the documentation claims: calls on a real engine against the real clock, without any wire;
and the model beside the reference's way of running it."""
