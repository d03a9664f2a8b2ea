"""What is wrong with a value is said in words for a client, whatever a validation library calls it."""

import re
from enum import StrEnum
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from service_kit.http.input.wording import KEY_PATTERN, PATTERN_WORDS, worded


class Colour(StrEnum):
    RED = "RED"
    BLUE = "BLUE"


class Box(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=3)] = "a"
    code: Annotated[str, Field(min_length=2)] = "ab"
    key: Annotated[str, Field(pattern=KEY_PATTERN)] = "a"
    form: Annotated[str, StringConstraints(pattern="^a(?:b)$")] = "ab"
    count: Annotated[int, Field(ge=1, le=9)] = 1
    share: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.5
    sealed: bool = False
    colour: Colour = Colour.RED
    parts: Annotated[list[int], Field(min_length=1, max_length=2)] = [1]
    inside: "Box | None" = None


class Needed(BaseModel):
    name: str


CASES: list[tuple[type[BaseModel], Any, str]] = [
    (Needed, {}, "must be given"),
    (Box, [], "must be an object"),
    (Box, {"colours": 1}, "unknown field"),
    (Box, {"name": 5}, "must be a text"),
    (Box, {"name": ""}, "must not be empty"),
    (Box, {"name": "long"}, "must have at most 3 characters"),
    (Box, {"code": "a"}, "must have at least 2 characters"),
    (Box, {"key": "a b"}, "must be printable ASCII without blanks"),
    (Box, {"form": "b"}, "has characters, or a form, that are not allowed here"),
    (Box, {"count": "x"}, "must be a whole number"),
    (Box, {"count": 1.5}, "must be a whole number"),
    (Box, {"count": None}, "must be a whole number"),
    (Box, {"count": 0}, "must be at least 1"),
    (Box, {"count": 10}, "must be at most 9"),
    (Box, {"share": 0}, "must be more than 0.0"),
    (Box, {"share": 1}, "must be less than 1.0"),
    (Box, {"share": "x"}, "must be a number"),
    (Box, {"share": float("nan")}, "must be a number"),
    (Box, {"sealed": "perhaps"}, "must be true or false"),
    (Box, {"colour": "GREEN"}, "must be 'RED' or 'BLUE'"),
    (Box, {"parts": 5}, "must be a list"),
    (Box, {"parts": []}, "must not be empty"),
    (Box, {"parts": [1, 2, 3]}, "must have at most 2 items"),
    (Box, {"inside": 5}, "must be an object"),
]


@pytest.mark.parametrize(("model", "given", "message"), CASES, ids=[message for _, _, message in CASES])
def test_an_error_says_what_the_value_must_be(model: type[BaseModel], given: Any, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(given)

    assert [worded(error, PATTERN_WORDS) for error in caught.value.errors()] == [message]  # type: ignore[arg-type]


def test_every_described_pattern_is_a_regular_expression_and_its_words_show_none() -> None:
    for pattern, words in PATTERN_WORDS.items():
        re.compile(pattern)
        assert not set(words) & set("^$[]\\()*")
