"""The base of what comes in from outside: unknown fields are refused by name, and so is a value of another kind (true for 1)."""

from pydantic import BaseModel, ConfigDict, JsonValue


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


def one_of(*names: str) -> list[JsonValue]:
    """For a JSON schema (`anyOf`): at least one of these lists is there and has something in it."""
    return [{"properties": {name: {"minItems": 1}}, "required": [name]} for name in names]
