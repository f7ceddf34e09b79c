"""What builder and service share: encoders, the two on-disk formats, the search. Never imports torch."""

__version__ = "0.1.0"
