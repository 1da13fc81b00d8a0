"""``personaplex-ui doctor``: what of this machine, its settings and the services around it is in the way."""
