"""What of Gradio's app is open, and what is checked before Gradio sees it."""
