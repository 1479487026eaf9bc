"""The registry: every way in which bytes or text from outside become values."""

from typing import Final

from tests.fuzz.checking import Decoder
from tests.fuzz.contract_decoders import CONTRACTS
from tests.fuzz.ledger_decoders import LEDGER

DECODERS: Final[tuple[Decoder, ...]] = (*LEDGER, *CONTRACTS)
