"""Responses written in the thread that did the work: FastAPI would serialize each of them in another thread."""

from collections.abc import Mapping

from fastapi import Response
from pydantic import BaseModel


def json_response(body: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a model as JSON."""
    return Response(body.model_dump_json(), status, headers, media_type="application/json")
