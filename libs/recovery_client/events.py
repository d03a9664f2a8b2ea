"""Server-sent events, read line by line."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its name and its data, as text."""

    name: str
    data: str


@dataclass(slots=True)
class EventParser:
    """Collects lines until an empty one ends an event. See https://html.spec.whatwg.org/#parsing-an-event-stream."""

    _name: str = ""
    _data: list[str] = field(default_factory=list)

    def take(self, line: str) -> Event | None:
        """Take a line without its end. Return the event that it completes, if it does."""
        if not line:
            return self._complete()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._name = value
        elif name == "data":
            self._data.append(value)
        return None

    def _complete(self) -> Event | None:
        event = Event(self._name or "message", "\n".join(self._data)) if self._data else None
        self._name, self._data = "", []
        return event
