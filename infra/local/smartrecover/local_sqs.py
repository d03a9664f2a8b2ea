"""The local SQS: moto behind our guard, faster, and without its log line for every request.

Moto counts its whole queue for every message, and reads its clock twice for each message counted, by way of two dates;
the clock put in its place reads the same time directly. Moto scans every response for an XML request id, byte by byte;
JSON responses skip that, and a faster library parses and writes them. For each request moto works out what a service
can do, and how the same few names look with underscores; here it caches them. To learn how long a queue retains one
message it assembles all attributes of the queue, counts included. And it keeps every message there ever was for a page
of its own; here it does not.
"""

import logging
import time
from collections import deque
from collections.abc import Mapping
from functools import cache
from typing import Any

import orjson
from moto.core import responses
from moto.core.parse import BaseJSONParser
from moto.core.responses import BaseResponse
from moto.core.serialize import BaseJSONSerializer
from moto.sqs import models

from smartrecover.sqs_guard import read_arguments, serve

_enrich = BaseResponse._enrich_response
_parse = BaseJSONParser._parse_body_as_json


def _enrich_xml_only(headers: dict[str, str], body: Any) -> tuple[dict[str, str], Any]:
    is_json = isinstance(body, str) and body.startswith("{")
    headers, enriched = _enrich(headers, "" if is_json else body)
    return headers, body if is_json else enriched


def _parse_quickly(self: BaseJSONParser, body: Any) -> Any:
    try:
        return orjson.loads(body)
    except ValueError:
        return _parse(self, body)  # type: ignore[no-untyped-call]  # no JSON, or such as only moto takes


def _write_quickly(self: BaseJSONSerializer, body: Mapping[str, Any]) -> str:
    return orjson.dumps(body).decode()


def _is_kept(self: models.SQSBackend, queue_name: str, message: Any) -> bool:
    kept_seconds = self.get_queue(queue_name).message_retention_period  # type: ignore[attr-defined]
    return bool(message.sent_timestamp / 1_000 + kept_seconds > time.time())


if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    vars(models)["unix_time_millis"] = lambda: time.time() * 1_000
    BaseResponse._enrich_response = staticmethod(_enrich_xml_only)  # type: ignore[method-assign]
    BaseJSONParser._parse_body_as_json = _parse_quickly  # type: ignore[method-assign]
    BaseJSONSerializer._serialize_body = _write_quickly  # type: ignore[method-assign]
    models.SQSBackend.is_message_valid_based_on_retention_period = _is_kept  # type: ignore[method-assign]
    vars(responses)["method_names_from_class"] = cache(responses.method_names_from_class)  # type: ignore[attr-defined]
    for module in (models, responses):
        vars(module)["camelcase_to_underscores"] = cache(module.camelcase_to_underscores)
    models.Message.instances_tracked = deque(maxlen=0)  # type: ignore[attr-defined]
    serve(**read_arguments())
