"""The schemas of a version's two Milvus collections, and limits of Milvus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptsearch.storage.fields import PROMPT, Field, Type
from promptsearch.storage.manifest import Kind

ROW, VECTOR, ID = "row", "vector", "id"
TEXT, IMAGE_COUNT = "text", "image_count"  # of prompts
IMAGE_PROMPT, DOCUMENT = "prompt", "document"  # of images: the prompt's row or -1; file, source etc. as JSON
MOST_TEXT = 65_535  # bytes of UTF-8 in a VARCHAR
MOST_FOUND = 16_384  # results of one request
ALL_OF = f"{ROW} >= 0"
_NO_VECTORS = 2  # dimensions of the placeholders of a kind without vectors: Milvus requires vectors
_TYPES: Mapping[Type, str] = {
    "boolean": "BOOL", "integer": "INT64", "number": "DOUBLE", "string": "VARCHAR", "time": "VARCHAR",
}  # fmt: skip


def column(field: Field) -> str:
    """Return the name of a field's column. Names from sources may be invalid in Milvus, so numbers are used."""
    return IMAGE_PROMPT if field.name == PROMPT else f"field_{field.number}"


def stand_in(dim: int | None) -> NDArray[np.float32]:
    """Return the placeholder of a missing vector, float32 [dim]: zeros, which no search looks at."""
    return np.zeros(dim or _NO_VECTORS, dtype=np.float32)


def schema(kind: Kind, dim: int | None, fields: list[Field], dtype: type[np.float16 | np.float32]) -> Any:
    """Return a pymilvus CollectionSchema. `dim`: None for a kind without vectors; `dtype`: of the vectors in Milvus."""
    from pymilvus import DataType, MilvusClient

    columns = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    columns.add_field(ROW, DataType.INT64, is_primary=True)
    vector = DataType.FLOAT16_VECTOR if dtype is np.float16 else DataType.FLOAT_VECTOR
    columns.add_field(VECTOR, vector, dim=dim or _NO_VECTORS)
    columns.add_field(ID, DataType.VARCHAR, max_length=32)
    if kind == "prompts":
        columns.add_field(TEXT, DataType.VARCHAR, max_length=MOST_TEXT)
        columns.add_field(IMAGE_COUNT, DataType.INT64)
        return columns
    columns.add_field(IMAGE_PROMPT, DataType.INT64)
    columns.add_field(DOCUMENT, DataType.VARCHAR, max_length=MOST_TEXT)
    for field in fields:
        if field.name != PROMPT:
            size = {"max_length": MOST_TEXT} if _TYPES[field.type] == "VARCHAR" else {}
            columns.add_field(column(field), DataType[_TYPES[field.type]], nullable=True, **size)
    return columns
