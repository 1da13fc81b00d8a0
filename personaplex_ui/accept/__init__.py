"""``personaplex-ui accept``: tries the real weights on the real GPU before anybody calls, and writes a
report."""
