"""Reading the back office's pages as a person would: links by what they are called."""

import html
import re
from typing import Any

from django.test import Client

Page = Any
"""A response of the test client."""


def links_of(page: Page) -> dict[str, str]:
    """Address by what the link says; of several with one name the first."""
    found: dict[str, str] = {}
    for address, inside in re.findall(r'<a\b[^>]*?href="([^"]*)"[^>]*>(.*?)</a>', page.content.decode(), re.DOTALL):
        name = " ".join(re.sub(r"<[^>]*>", " ", inside).split())
        found.setdefault(html.unescape(name), html.unescape(address))
    return found


def click(browser: Client, page: Page, name: str) -> Page:
    """The page behind the link of that name. Raises AssertionError when the page has no such link."""
    links = links_of(page)
    assert name in links, f"no link {name!r} among {sorted(links)}"
    address = links[name]
    if address.startswith("?"):
        address = page.request["PATH_INFO"] + address
    after = browser.get(address)
    assert after.status_code == 200
    return after


def text_of(page: Page) -> str:
    """What can be read on the page, in one line."""
    content = re.sub(r"<(script|style|template)\b.*?</\1>", " ", page.content.decode(), flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", content)).split())
