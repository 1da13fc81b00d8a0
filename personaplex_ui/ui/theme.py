"""How the page looks, and the CSS and JavaScript it is given. Nothing is fetched from another host.

Gradio's stock themes name Google Fonts and set labels too pale to read in light mode; this one uses the
reader's own system fonts and text of at least 4.5:1 contrast, both light and dark.
"""

from importlib.resources import files

from gradio.themes import Base
from gradio.themes.utils import colors, sizes

_SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")


_LOOKS = {
    "body_background_fill": "*neutral_50",
    "body_background_fill_dark": "*neutral_950",
    "body_text_color": "*neutral_900",
    "body_text_color_dark": "*neutral_100",
    "body_text_color_subdued": "*neutral_600",
    "body_text_color_subdued_dark": "*neutral_300",
    "background_fill_secondary": "*neutral_100",
    "block_background_fill": "white",
    "block_background_fill_dark": "*neutral_900",
    "block_border_color": "*neutral_200",
    "block_border_color_dark": "*neutral_700",
    "block_label_text_color": "*neutral_700",
    "block_label_text_color_dark": "*neutral_200",
    "block_title_text_color": "*neutral_800",
    "block_title_text_color_dark": "*neutral_100",
    "block_title_text_weight": "600",
    "block_info_text_color": "*neutral_600",
    "block_info_text_color_dark": "*neutral_300",
    "block_shadow": "none",
    "input_background_fill": "white",
    "input_background_fill_dark": "*neutral_950",
    "input_border_width": "1px",
    "input_border_color": "*neutral_400",
    "input_border_color_dark": "*neutral_500",
    "input_border_color_focus": "*primary_600",
    "input_border_color_focus_dark": "*primary_400",
    "input_placeholder_color": "*neutral_500",
    "input_placeholder_color_dark": "*neutral_400",
    "button_primary_background_fill": "*primary_700",
    "button_primary_background_fill_dark": "*primary_700",
    "button_primary_background_fill_hover": "*primary_800",
    "button_primary_background_fill_hover_dark": "*primary_800",
    "button_primary_text_color": "white",
    "button_secondary_background_fill": "*neutral_100",
    "button_secondary_background_fill_dark": "*neutral_700",
    "button_secondary_background_fill_hover": "*neutral_200",
    "button_secondary_background_fill_hover_dark": "*neutral_600",
    "button_secondary_border_color": "*neutral_400",
    "button_secondary_border_color_dark": "*neutral_500",
    "button_border_width": "1px",
    "button_secondary_text_color": "*neutral_900",
    "button_secondary_text_color_dark": "white",
    "link_text_color": "*primary_700",
    "link_text_color_dark": "*primary_300",
    "link_text_color_hover": "*primary_800",
    "link_text_color_hover_dark": "*primary_200",
    "link_text_color_visited": "*primary_700",
    "link_text_color_visited_dark": "*primary_300",
    "color_accent": "*primary_600",
    "slider_color": "*primary_600",
    "slider_color_dark": "*primary_400",
}


def build_theme() -> Base:
    theme = Base(
        primary_hue=colors.teal,
        secondary_hue=colors.teal,
        neutral_hue=colors.slate,
        radius_size=sizes.radius_lg,
        font=_SANS,
        font_mono=_MONO,
    )
    return theme.set(**_LOOKS)  # pyright: ignore[reportUnknownMemberType] (untyped)


def page_css() -> str:
    return _packaged("page.css")


def page_head() -> str:
    """For ``gr.Blocks(head=...)``."""
    return f"<script>\n{_packaged('page.js')}\n</script>"


def _packaged(name: str) -> str:
    return files("personaplex_ui.ui.static").joinpath(name).read_text(encoding="utf-8")
