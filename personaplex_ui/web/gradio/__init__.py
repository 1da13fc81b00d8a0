"""Which of Gradio's routes are open, and the checks before a request reaches Gradio."""
