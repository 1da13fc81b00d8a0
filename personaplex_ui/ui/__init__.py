"""The page: Gradio Blocks, the content of its parts, and the CSS and JavaScript it needs."""
