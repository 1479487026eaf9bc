"""Log lines: one JSON object each on standard error, with an event name, ids and codes, never contents.

Knows how a line is written. Must always hold: values of the fields in `FORBIDDEN` never leave the process in a
line, whoever passes them; a traceback carries no local values.
"""

import logging
import sys
from typing import Any, Final

import structlog

from node.config import LogConfig

FORBIDDEN: Final = frozenset(
    {"name", "patient", "document", "diagnosis", "secret", "token", "password", "salt", "amount", "amount_fen", "body"}
)
"""Field names that would carry personal data or secrets: replaced, so that a slip is visible and harmless."""


def configure_logging(config: LogConfig, participant: str) -> Any:
    """Set up the process's log lines and return the node's logger."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
            redact,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, config.level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    return structlog.get_logger().bind(node=participant)


def redact(_logger: Any, _method: str, event: Any) -> Any:
    """Replace what must not be logged."""
    for key in FORBIDDEN & event.keys():
        event[key] = "[redacted]"
    return event
