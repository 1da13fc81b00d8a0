"""Finds, downloads and resumes a checkpoint's files on the Hugging Face hub, and explains failures."""
