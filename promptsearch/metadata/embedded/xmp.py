"""XMP: read the texts of an XML packet by name, without namespaces."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

MAX_BYTES = 2**24
_MAX_FIELDS = 1000
_HEAD = re.compile(rb"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)  # entities can expand without bound; XMP has none


def read_xmp(packet: bytes) -> dict[str, str]:
    """Return attributes and texts by local name, the first of each; empty if the packet is not XML.

    The texts of a list (`dc:description` has one per language) get the name of the element that holds the list.
    """
    start, end = packet.find(b"<"), packet.rfind(b">")
    if start < 0 or len(packet) > MAX_BYTES or _HEAD.search(packet):
        return {}
    try:
        root = ElementTree.fromstring(packet[start : end + 1])  # noqa: S314 - no DOCTYPE and so nothing that expands
    except ElementTree.ParseError:
        return {}
    fields: dict[str, str] = {}
    waiting = [(root, "")]
    while waiting and len(fields) < _MAX_FIELDS:
        element, holder = waiting.pop()
        name = _local(element.tag)
        name = holder if name in ("Alt", "Seq", "Bag", "li") else name
        for attribute, value in element.attrib.items():
            fields.setdefault(_local(attribute), value)
        if element.text and element.text.strip():
            fields.setdefault(name, element.text)
        waiting += [(child, name) for child in reversed(element)]
    return fields


def _local(name: object) -> str:
    return str(name).rpartition("}")[2]
