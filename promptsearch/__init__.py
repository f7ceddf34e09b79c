"""What builder and service share: encoders, the two on-disk formats, the search. Never imports torch."""
