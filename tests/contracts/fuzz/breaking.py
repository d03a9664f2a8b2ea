"""Breaking messages: a value in the wrong place, or a text that is cut."""

from random import Random
from typing import Any


def put_somewhere(value: Any, new: Any, chance: Random) -> None:
    """Put a value in some place of a JSON value, or take something away there."""
    keys: list[Any] = list(value) if isinstance(value, dict) else list(range(len(value)))
    if not keys:
        return
    key = chance.choice(keys)
    deeper = value[key]
    if isinstance(deeper, dict | list) and deeper and chance.random() < 0.6:
        put_somewhere(deeper, new, chance)
    elif chance.random() < 0.2:
        del value[key]
    elif isinstance(value, dict) and chance.random() < 0.1:
        value[f"{key}2"] = new
    else:
        value[key] = new


def cut(body: str, chance: Random) -> str:
    """The text of a message with a part of it gone, repeated or replaced."""
    start = chance.randrange(len(body) + 1)
    end = min(len(body), start + chance.choice([0, 1, 1, 5, 50]))
    instead = chance.choice(["", "", '"', "\\", "\\u0000", "\\ud83d", "1e999", "NaN", "\0", body[start:end] * 2])
    return body[:start] + instead + body[end:]
