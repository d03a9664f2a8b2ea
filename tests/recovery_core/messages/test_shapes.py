import json
from pathlib import Path

from jsonschema import Draft202012Validator

from recovery_core.messages import shapes
from recovery_core.messages.shapes import batch_json_schema


def test_the_committed_schema_is_the_one_of_the_code() -> None:
    committed = Path(shapes.__file__).with_name("debt-batch.v1.schema.json")
    assert json.loads(committed.read_text()) == batch_json_schema()
    Draft202012Validator.check_schema(batch_json_schema())
