"""The command line that answers recordings: ``python -m personaplex_ui.offline``."""
