import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from recovery_core.messages import shapes
from recovery_core.messages.shapes import BATCH_SCHEMA_V1, BATCH_SCHEMA_V2, batch_json_schema


@pytest.mark.parametrize(
    ("name", "file"), [(BATCH_SCHEMA_V1, "debt-batch.v1.schema.json"), (BATCH_SCHEMA_V2, "debt-batch.v2.schema.json")]
)
def test_the_committed_schema_is_the_one_of_the_code(name: str, file: str) -> None:
    committed = Path(shapes.__file__).with_name(file)
    assert json.loads(committed.read_text()) == batch_json_schema(name)
    Draft202012Validator.check_schema(batch_json_schema(name))
