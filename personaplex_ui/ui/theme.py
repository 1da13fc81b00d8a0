"""The page's theme and styles. Nothing is fetched from another host.

Gradio's stock themes use Google Fonts, and their labels are too pale to read in light mode; this theme uses
system fonts and a text contrast of at least 4.5:1, both light and dark.
"""

from importlib.resources import files
from pathlib import Path

from gradio.themes import Base
from gradio.themes.utils import colors, sizes

FAVICON = Path(__file__).with_name("static") / "page" / "favicon.svg"

_SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")


_LOOKS = {
    "body_background_fill": ("*neutral_50", "*neutral_950"),
    "body_text_color": ("*neutral_900", "*neutral_100"),
    "body_text_color_subdued": ("*neutral_600", "*neutral_300"),
    "background_fill_secondary": ("*neutral_100",),
    "block_background_fill": ("white", "*neutral_900"),
    "block_border_color": ("*neutral_200", "*neutral_700"),
    "block_label_text_color": ("*neutral_700", "*neutral_200"),
    "block_title_text_color": ("*neutral_800", "*neutral_100"),
    "block_title_text_weight": ("600",),
    "block_info_text_color": ("*neutral_600", "*neutral_300"),
    "block_shadow": ("none",),
    "input_background_fill": ("white", "*neutral_950"),
    "input_border_width": ("1px",),
    "input_border_color": ("*neutral_400", "*neutral_500"),
    "input_border_color_focus": ("*primary_600", "*primary_400"),
    "input_placeholder_color": ("*neutral_500", "*neutral_400"),
    "button_primary_background_fill": ("*primary_700", "*primary_700"),
    "button_primary_background_fill_hover": ("*primary_800", "*primary_800"),
    "button_primary_text_color": ("white",),
    "button_secondary_background_fill": ("*neutral_100", "*neutral_700"),
    "button_secondary_background_fill_hover": ("*neutral_200", "*neutral_600"),
    "button_secondary_border_color": ("*neutral_400", "*neutral_500"),
    "button_border_width": ("1px",),
    "button_secondary_text_color": ("*neutral_900", "white"),
    "link_text_color": ("*primary_700", "*primary_300"),
    "link_text_color_hover": ("*primary_800", "*primary_200"),
    "link_text_color_visited": ("*primary_700", "*primary_300"),
    "color_accent": ("*primary_600",),
    "slider_color": ("*primary_600", "*primary_400"),
}
"""Values of Gradio's theme in light mode, and in dark mode if they differ."""


def build_theme() -> Base:
    theme = Base(
        primary_hue=colors.teal,
        secondary_hue=colors.teal,
        neutral_hue=colors.slate,
        radius_size=sizes.radius_lg,
        font=_SANS,
        font_mono=_MONO,
    )
    values = {
        name + mode: value
        for name, looks in _LOOKS.items()
        for mode, value in zip(("", "_dark"), looks, strict=False)
    }
    return theme.set(**values)  # pyright: ignore[reportUnknownMemberType] (untyped)


def page_css() -> str:
    """The styles in static/css/, joined in the order of their names. Gradio does not see them, so no rule is
    prefixed; what restyles Gradio's own elements needs the weight of an id."""
    folder = files("personaplex_ui.ui.static") / "css"
    parts = sorted((file for file in folder.iterdir() if file.name.endswith(".css")), key=lambda f: f.name)
    return "\n".join(part.read_text(encoding="utf-8") for part in parts)
