"""How a command ends when it does not end well: one line on standard error, and one of four exit codes.

Knows exit codes and the shape that every error of the project shares (`code` and `detail`). Must not know
what went wrong inside. Always true: a person sees what, where and what to do, never a traceback and never a
secret; a program sees 0 done, 1 the answer is no, 2 wrong use, 3 the network or a peer failed.
"""

from typing import Final

import click

EXIT_NO: Final = 1
EXIT_WRONG_USE: Final = 2
EXIT_NETWORK: Final = 3
EXIT_INTERRUPTED: Final = 130
"""128 + SIGINT: what shells give a command that Ctrl-C ended."""

ANSWER_IS_NO: Final = frozenset({"InvalidProof", "InvalidCertificate", "InvalidBlock", "InvalidTransaction"})
"""Errors that are the answer of a check. By name, so that no package needs to be imported to know them."""
MAX_LINE: Final = 2000
"""Characters of an error line; a fault list of a long configuration still fits."""


class CliError(Exception):
    """A command's own error. `code` is stable; `detail` says what, where and what to do."""

    exit_code = EXIT_WRONG_USE

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class AnswerIsNo(CliError):
    """The check was made and it fails."""

    exit_code = EXIT_NO


class NetworkFailure(CliError):
    """A node or the network did not answer, or answered that it cannot."""

    exit_code = EXIT_NETWORK


def describe_error(error: BaseException) -> tuple[str, int] | None:
    """The line and the exit code for an error that people can act on; None for a fault of the program."""
    if isinstance(error, click.UsageError):
        where = f"; see: {error.ctx.command_path} --help" if error.ctx else ""
        return _one_line(error.format_message() + where), error.exit_code
    if isinstance(error, click.ClickException):
        return _one_line(error.format_message()), error.exit_code
    code, detail = getattr(error, "code", None), getattr(error, "detail", None)
    if isinstance(code, str) and isinstance(detail, str):
        return _one_line(f"{code}: {detail}"), _exit_code(error)
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return _one_line(f"{place}{error.strerror}; check the name and your permissions"), EXIT_WRONG_USE
    return None


def _exit_code(error: BaseException) -> int:
    given = getattr(error, "exit_code", None)
    if isinstance(given, int):
        return given
    names = {kind.__name__ for kind in type(error).__mro__}
    return EXIT_NO if names & ANSWER_IS_NO else EXIT_WRONG_USE


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_LINE else line[: MAX_LINE - 3] + "..."
