"""A checkpoint's files on the Hugging Face hub: found, fetched once, resumed, explained when that fails."""
