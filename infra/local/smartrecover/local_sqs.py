"""The local SQS: moto's server, without its log line for every request, which would drown what the services say.

Moto counts its whole queue for every message, and looks at its clock twice for each message counted. Its clock goes by
way of two dates; the one put in its place reads the same time at once. It looks through every answer for a request id
in XML, byte by byte; answers in JSON are spared that. It works out for each request anew which of its services a host
means, and how the same few names are written with underscores; here it remembers. And it keeps every message there ever
was, deleted or not, for a page of its own that shows them; here it does not.
"""

import logging
import sys
import time
from collections import deque
from functools import cache
from typing import Any

from moto.core import responses
from moto.core.responses import BaseResponse
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.server import main
from moto.sqs import models

_enrich = BaseResponse._enrich_response


def _enrich_xml_only(headers: dict[str, str], body: Any) -> tuple[dict[str, str], Any]:
    is_json = isinstance(body, str) and body.startswith("{")
    headers, enriched = _enrich(headers, "" if is_json else body)
    return headers, body if is_json else enriched


if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    vars(models)["unix_time_millis"] = lambda: time.time() * 1_000
    BaseResponse._enrich_response = staticmethod(_enrich_xml_only)  # type: ignore[method-assign]
    for module in (models, responses):
        vars(module)["camelcase_to_underscores"] = cache(module.camelcase_to_underscores)
    DomainDispatcherApplication.get_backend_for_host = cache(  # type: ignore[method-assign]
        DomainDispatcherApplication.get_backend_for_host
    )
    models.Message.instances_tracked = deque(maxlen=0)  # type: ignore[attr-defined]
    main(sys.argv[1:])
