"""The local SQS: moto's server, without its log line for every request, which would drown what the services say.

Moto counts its whole queue for every message, and looks at its clock twice for each message counted. Its clock goes by
way of two dates; the one put in its place reads the same time at once. It also looks through every answer for a
request id in XML, byte by byte; answers in JSON are spared that.
"""

import logging
import sys
import time
from typing import Any

from moto.core.responses import BaseResponse
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
    main(sys.argv[1:])
