"""Templates to HTML. Every value is escaped, and a name that a template does not know is an error."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader, StrictUndefined

from recovery_console import words
from recovery_console.formatting import NO_VALUE, moment, seconds

FOLDER = Path(__file__).parent
STATIC = FOLDER / "static"


class Templates:
    """The templates of the console: `base.html`, and those of each noun as `noun/page.html`."""

    def __init__(self) -> None:
        nouns = {folder.parent.name: FileSystemLoader(folder) for folder in FOLDER.glob("*/templates")}
        self._environment = Environment(
            loader=ChoiceLoader([FileSystemLoader(FOLDER / "templates"), PrefixLoader(nouns)]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters |= {
            "moment": moment,
            "seconds": seconds,
            "blocks": words.blocks,
            "plain": words.plain,
            "reason": words.reason,
        }
        self._environment.globals |= {"static": static_url, "words": words, "no_value": NO_VALUE}

    def render(self, template: str, **values: Any) -> str:
        """Return a template with these values. Raises UndefinedError for a name that is missing."""
        return self._environment.get_template(template).render(**values)


@lru_cache
def static_url(path: str) -> str:
    """Return the address of a static file. It names the content, so that browsers may keep the file for ever."""
    file = STATIC / path
    version = hashlib.sha256(file.read_bytes()).hexdigest()[:12] if file.is_file() else "missing"
    return f"/static/{path}?v={version}"
