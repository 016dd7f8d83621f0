"""HTML to Markdown. BeautifulSoup is heavy: imported only when there is a page to convert."""

from bs4 import BeautifulSoup
from markdownify import MarkdownConverter

__all__ = ["to_markdown"]

_WITHOUT_TEXT = ["script", "style", "noscript", "template", "svg", "iframe", "head"]


def to_markdown(html: bytes, charset: str | None) -> str:
    """The text of a page as Markdown, its title first.

    Without a `charset`, the page itself says it, or it is UTF-8. Raises `RecursionError` for
    elements nested hundreds deep.
    """
    page = BeautifulSoup(html, "html.parser", from_encoding=charset)
    title = page.title.get_text(strip=True) if page.title else ""
    for element in page(_WITHOUT_TEXT):
        element.decompose()
    text: str = MarkdownConverter(heading_style="ATX").convert_soup(page).strip()
    return f"# {title}\n\n{text}" if title and not text.startswith("# ") else text
