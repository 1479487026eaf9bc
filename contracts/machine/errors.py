"""What can go wrong with a program, by whose fault it is.

    MachineError                 code, detail
     +- ProgramRefused           the author's: lint or load faults, each with its place
     +- ProgramFailed            the program stopped, or gave what is no result
     +- MachineLimit             a run used more steps, memory, CPU or time than it may; it has no result

Texts name places in the program, never values of a case: they may be logged. What the language itself says
about a failure can quote a case and stays in `private_text`, for the author at their own desk.
"""


class MachineError(Exception):
    """Base of the package. `code` is stable; `detail` is for people."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class ProgramRefused(MachineError):
    """A program outside the language level, or one that does not load."""


class ProgramFailed(MachineError):
    """A run that stopped by itself, or whose result is no JSON of the language level."""

    def __init__(self, code: str, detail: str, *, private_text: str = "") -> None:
        super().__init__(code, detail)
        self.private_text = private_text


class MachineLimit(MachineError):
    """A run beyond its limits (`steps`, `size`, `time`, `memory`); the same case may not be retried as is."""
