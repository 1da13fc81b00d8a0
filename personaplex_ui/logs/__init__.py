"""The log: its formats, the call a line belongs to, what libraries print, and floods told once."""
