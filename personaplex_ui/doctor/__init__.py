"""``personaplex-ui doctor``: finds problems of this machine, its settings and external services."""
