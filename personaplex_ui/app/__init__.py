"""Assembles the app, serves it, and shuts it down in order."""

from personaplex_ui.compat.gradio_stubs import leave_stubs_alone

leave_stubs_alone()  # before any module of this package imports Gradio
