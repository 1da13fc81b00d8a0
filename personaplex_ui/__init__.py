"""Talk with NVIDIA PersonaPlex in the browser, on the phone or through an API."""

__version__ = "0.1.0"
