"""What a screen reader meets on a page."""

from bs4 import BeautifulSoup

NAMED = "a, button, select, summary, img, [role=figure], [role=region], [role=group], nav, iframe"


def mute(html):
    """What is wrong for those who hear a page: no names, two of a name, no or several headings."""
    page = BeautifulSoup(html, "html.parser")
    wrong = [str(each)[:90] for each in page.select(NAMED) if not _name(each)]
    wrong += [
        f"{len(found)} of {what}" for what in ("h1", "main") if len(found := page.select(what)) != 1
    ]
    names = [_name(each) for each in page.select("nav, [role=region]")]
    wrong += [f"twice: {name}" for name in {name for name in names if names.count(name) > 1}]
    if not page.html.get("lang") or not page.title.get_text().strip():
        wrong.append("no language or no title")
    return wrong


def _name(element):
    label = element.find_parent("label")
    said = element.get("aria-label") or element.get("alt") or (label and label.get_text())
    return (said or ("" if element.name in ("nav", "select") else element.get_text())).strip()
