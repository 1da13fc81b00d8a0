"""A piece of HTML as a browser reads it. Every element has to be closed, in order."""

from collections.abc import Mapping
from html.parser import HTMLParser

VOID = {"img", "br", "input"}
HOSTILE = "</p></td><script>alert(1)</script>\"'><img src=x onerror=alert(1)> & ä 漢"


class ParsedHtml(HTMLParser):
    """``text``: its words, every white space one space. ``rows``: of a table, by the head of each row."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self._words: list[tuple[str, str]] = []
        self.feed(html)
        self.close()
        assert self._open == []

    @property
    def text(self) -> str:
        return " ".join("".join(words for _, words in self._words).split())

    @property
    def rows(self) -> Mapping[str, str]:
        found: dict[str, str] = {}
        name = ""
        for tags, words in self._words:
            if "th" in tags.split():
                name = words
            elif "td" in tags.split():
                found[name] = " ".join(f"{found.get(name, '')} {words}".split())
        return found

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def values(self, attribute: str) -> list[str | None]:
        return [attributes[attribute] for _, attributes in self.elements if attribute in attributes]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self._words.append((" ".join(self._open), data))
