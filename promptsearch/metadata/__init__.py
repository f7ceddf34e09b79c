"""Read the metadata that image generators write into their pictures, trusting none of it."""

from promptsearch.metadata.generation import Generation
from promptsearch.metadata.reader import from_object, from_text, generation_of_fields, read_generation

__all__ = ["Generation", "from_object", "from_text", "generation_of_fields", "read_generation"]
