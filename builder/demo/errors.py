"""What can go wrong while the demo is made.

DemoError
├── SourceError    a package, or a file inside one, is missing or not what was pinned
└── RunError       a training step lacks what an earlier step should have left
"""


class DemoError(Exception):
    """Anything that stops the demo's pictures or its model from being made."""


class SourceError(DemoError):
    """A package, or a file inside one, is missing or not what was pinned."""


class RunError(DemoError):
    """A training step lacks what an earlier step should have left."""
