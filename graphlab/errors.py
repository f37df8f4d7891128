"""The one error tree. Every message says what happened, what was expected, what was found and what to do."""

from __future__ import annotations


class GraphlabError(Exception):
    """Base of every error a user can cause or meet; the command line prints it as one line and exits 1.

    `hint` is what to do next; it is appended to the message after a semicolon-free dash so that the
    whole still reads as one line.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        self.message = message
        self.hint = hint
        super().__init__(message if hint is None else f"{message} ({hint})")


class SourceError(GraphlabError):
    """A source that cannot be read: missing, empty, truncated, of an unknown kind, or not a model."""


class UnsafeSourceError(SourceError):
    """A file whose pickles would run code, or hold objects outside the allowlist; nothing was loaded."""


class UnknownArchitectureError(SourceError):
    """A state dict that fits none of the shipped configurations; the user must name a config."""


class UnknownNameError(GraphlabError):
    """A model, device, stage, pass or node name that does not exist; the message names the nearest."""


class BindingError(GraphlabError):
    """A `--set` or keyword binding that is unknown, of the wrong type, out of range or past a guard."""


class CaptureError(GraphlabError):
    """A model that `torch.export` cannot capture; names the module, the source line and what to try."""


class OpRuleError(GraphlabError):
    """An operator without a rule under `strict`, or a rule that cannot read the node it was given."""


class DeviceFileError(GraphlabError):
    """A device file with missing, negative or unknown entries."""
