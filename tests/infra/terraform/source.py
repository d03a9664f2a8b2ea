"""The text of infra/aws."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
AWS = ROOT / "infra/aws"


def text_of(*modules: str) -> str:
    return "\n".join(
        path.read_text(encoding="utf-8") for module in modules for path in sorted((AWS / module).glob("*.tf"))
    )
