"""Answers written where the work was done: FastAPI would take each to another thread to turn it into JSON."""

from collections.abc import Mapping

from fastapi import Response
from pydantic import BaseModel


def json_answer(shown: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with a model as JSON."""
    return Response(shown.model_dump_json(), status, headers, media_type="application/json")
