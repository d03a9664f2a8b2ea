"""A browser without scripts: it keeps cookies, sends forms, and reads pages by headings, tables and names."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

import httpx

from recovery_console.app import create_app
from recovery_console.settings import Settings

EMPTY = frozenset({"meta", "link", "input", "br", "img", "hr", "rect", "line", "circle", "path", "polyline"})


@dataclass
class Element:
    """An element with its attributes and the text inside of it, white space collapsed."""

    tag: str
    attributes: dict[str, str]
    path: tuple[str, ...]
    text: str = ""


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[Element] = []
        self._open: list[Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs}, tuple(one.tag for one in self._open))
        self.found.append(element)
        if tag not in EMPTY:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        while tag not in EMPTY and self._open and self._open.pop().tag != tag:
            pass

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data


@dataclass
class Page:
    """A page as a reader finds it."""

    response: httpx.Response

    @property
    def status(self) -> int:
        return self.response.status_code

    def all(self, tag: str, **attributes: str) -> list[Element]:
        """The elements with this tag and these attributes; `aria_label` is aria-label."""
        reader = _Reader()
        reader.feed(self.response.text)
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
        found = [one for one in reader.found if one.tag == tag and wanted.items() <= one.attributes.items()]
        for one in found:
            one.text = re.sub(r"\s+", " ", one.text).strip()
        return found

    def texts(self, tag: str, **attributes: str) -> list[str]:
        """The texts of these elements."""
        return [one.text for one in self.all(tag, **attributes)]

    def table(self, which: int | str = 0) -> list[dict[str, str]]:
        """A table as rows by heading: the one of this number, or the first that has this heading."""
        bodies = re.findall(r"<table.*?</table>", self.response.text, re.DOTALL)
        body = bodies[which] if isinstance(which, int) else next(one for one in bodies if f">{which}</th>" in one)
        page = Page(httpx.Response(200, text=body))
        reader = _Reader()
        reader.feed(body)
        headings = [one.text for one in page.all("th") if one.path[-2:] == ("thead", "tr")]
        cells = [
            re.sub(r"\s+", " ", one.text).strip()
            for one in reader.found
            if one.tag in ("td", "th") and one.path[-2:] == ("tbody", "tr")
        ]
        width = len(headings)
        return [dict(zip(headings, cells[at : at + width], strict=True)) for at in range(0, len(cells), width)]


@dataclass
class Browser:
    """Opens pages of a console."""

    client: httpx.AsyncClient

    async def open(self, path: str, **headers: str) -> Page:
        """Open a page; redirects are followed."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Page(await self.client.get(path, headers=named, follow_redirects=True))

    async def send(self, path: str, form: dict[str, Any] | None = None, **headers: str) -> Page:
        """Send a form; redirects are not followed."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Page(await self.client.post(path, data=form or {}, headers=named))


@asynccontextmanager
async def opened(apis: httpx.AsyncBaseTransport, **settings: Any) -> AsyncIterator[Browser]:
    """A browser at a console that calls these APIs."""
    app = create_app(Settings(_env_file=None, **settings), apis)  # type: ignore[call-arg]
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1:8003") as client,
    ):
        yield Browser(client)
