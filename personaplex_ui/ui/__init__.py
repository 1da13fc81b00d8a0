"""The page: Gradio Blocks, what its parts show, and the little CSS and JavaScript it needs."""
