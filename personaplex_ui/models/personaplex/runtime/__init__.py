"""The model itself: prompt, transformers, codec, sampling, text."""
