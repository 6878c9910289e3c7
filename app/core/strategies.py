"""Transfer strategies as a spec names them: what of a pre-trained model learns. worker/transfer/ has a file for each."""

from typing import Annotated, Literal

from pydantic import Field

from app.core.strict import Strict

LayerDecay = Annotated[
    float | None,
    Field(
        gt=0,
        le=1,
        description="each block learns at this share of the rate of the block above it; null: all alike",
    ),
]


class Full(Strict):
    """All weights learn."""

    kind: Literal["full"] = "full"
    layer_decay: LayerDecay = None
    head_first: bool = Field(
        default=False,
        description="LP-FT: the head is fitted on the frozen trunk first (Kumar et al. 2022)",
    )


class Head(Strict):
    """Only the head learns; the trunk is frozen and computed once."""

    kind: Literal["head"]
    fit: Literal["converge", "epochs"] | None = Field(
        default=None,
        description="converge: to the optimum, by L-BFGS, without epochs; epochs: by AdamW; null: epochs if they are given, "
        "else converge",
    )


class Partial(Strict):
    """The last blocks and the head learn; what is below is frozen and computed once."""

    kind: Literal["partial"]
    layers: int = Field(default=2, ge=1, le=1000, description="blocks that learn, from the top")
    layer_decay: LayerDecay = None
    head_first: bool = Field(default=False, description="as of full")


class Gradual(Strict):
    """The head learns first, then one block more after the other, from the top (Howard & Ruder 2018)."""

    kind: Literal["gradual"]
    over: float = Field(
        default=0.5, gt=0, le=1, description="share of the steps after which all blocks learn"
    )
    layer_decay: LayerDecay = None


class Lora(Strict):
    """Low-rank updates beside the frozen matrices (Hu et al. 2022); the head learns in full."""

    kind: Literal["lora"]
    rank: int = Field(default=16, ge=1, le=1024)
    alpha: float | None = Field(
        default=None, gt=0, le=10_000, description="the update is scaled by alpha / rank; null: 2 * rank"
    )
    dropout: float = Field(default=0.0, ge=0, lt=1, description="of the update's input")
    targets: Literal["auto"] | Annotated[list[str], Field(min_length=1, max_length=100)] = Field(
        default="auto", description="names of the matrices; auto: all of the blocks"
    )


Strategy = Annotated[Full | Head | Partial | Gradual | Lora, Field(discriminator="kind")]
