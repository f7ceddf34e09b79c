"""Errors of the demo's creation.

DemoError
├── SourceError    a package, or a file inside one, is missing or differs from the pinned one
└── RunError       a training step lacks the files of an earlier step
"""


class DemoError(Exception):
    """The demo's pictures or model cannot be created."""


class SourceError(DemoError):
    """A package, or a file inside one, is missing or differs from the pinned one."""


class RunError(DemoError):
    """A training step lacks the files of an earlier step."""
