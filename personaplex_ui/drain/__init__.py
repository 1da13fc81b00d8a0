"""The command ``personaplex-ui drain``: a quiet end for the server on this machine."""
