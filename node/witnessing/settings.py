"""The part `[witness]` of node.toml: who cosigns this node's checkpoints, how often it asks, how many it needs.

Knows keys, defaults and bounds. Must always hold: a configured verifier key is one of a witness, and no witness counts
twice.
"""

from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ledger.errors import LedgerError
from ledger.notes import COSIGNATURE, parse_vkey

MAX_WITNESSES: Final = 16
"""As many signatures as every reader of a note must take."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class WitnessAddress(_Part):
    """One outside witness: where it takes checkpoints, and its verifier key as `claimnode witness init` prints it."""

    url: Annotated[str, Field(pattern=r"^https?://[^\s]{1,500}$")]
    vkey: str

    @field_validator("vkey")
    @classmethod
    def _check_vkey(cls, value: str) -> str:
        try:
            if parse_vkey(value).kind != COSIGNATURE:
                raise ValueError("no key of a witness: its signatures are of type 0x01, a log's")
        except LedgerError as error:
            raise ValueError(error.detail) from None
        return value


class WitnessConfig(_Part):
    """Outsiders who cosign this node's checkpoints, so that no history can be rewritten unseen."""

    witnesses: Annotated[list[WitnessAddress], Field(max_length=MAX_WITNESSES)] = Field(default_factory=list)
    required: Annotated[int, Field(ge=0, le=MAX_WITNESSES)] | None = None
    """Cosignatures without which the node says NOT WITNESSED and is not ready. Default: one if any is configured."""
    interval_s: Annotated[int, Field(ge=1, le=86_400)] = 10
    every_blocks: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Also after this many final blocks; 0: by time alone."""
    max_age_s: Annotated[int, Field(ge=10, le=30 * 86_400)] = 600
    """A cosignature older than this no longer counts as required."""

    @model_validator(mode="after")
    def _check_required(self) -> Self:
        urls, vkeys = {item.url for item in self.witnesses}, {item.vkey for item in self.witnesses}
        if not len(urls) == len(vkeys) == len(self.witnesses):
            raise ValueError("each witness has an address and a key of its own")
        if (self.required or 0) > len(self.witnesses):
            raise ValueError(f"{self.required} cosignatures are required of {len(self.witnesses)} witnesses")
        return self
