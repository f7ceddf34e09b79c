"""Removal of versions from Milvus."""

from __future__ import annotations

import contextlib

from promptsearch.engines.milvus.connection import Connection
from promptsearch.storage.manifest import KINDS, MilvusReference


def drop(names: MilvusReference) -> None:
    """Drop a version's collections and their aliases. Raises NotReady if Milvus does not answer."""
    with contextlib.closing(Connection(names.address)) as connection, connection.errors():
        client = connection.client
        for name in map(names.collection, KINDS):
            if client.has_collection(name):
                for alias in client.list_aliases(name).get("aliases", []):
                    client.drop_alias(alias)
                client.drop_collection(name)
