"""The HTML beside the controls: messages and the counter of the role."""

from personaplex_ui.ui.rendering import render


def field_message_html(sentence: str, good: bool = False) -> str:
    """A message beside a field. ``good``: it reports success, not an error."""
    return render("field_message", sentence=sentence, good=good)


def prompt_counter_html(used: int, limit: int, unit: str = "characters") -> str:
    return render("prompt_counter", used=used, limit=limit, unit=unit)
