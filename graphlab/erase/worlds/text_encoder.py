"""The text encoder of a base, which sources know as an architecture too."""

from graphlab.architectures.prompt_encoder import WIDTH, TextEncoder

__all__ = ["WIDTH", "TextEncoder"]
