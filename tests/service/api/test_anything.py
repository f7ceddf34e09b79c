"""Properties: any bytes lead to an answer or a problem document, never a failure."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import httpx
from hypothesis import given
from hypothesis import strategies as st

from promptsearch.storage.manifest import Kind
from service.api.json_query import JsonQuery
from tests.service.support.shapes import check_answer, check_problem
from tests.support.drawing import as_bytes, picture

PNG = as_bytes(picture())
CONTENT_TYPES = ("multipart/form-data; boundary=x", "application/json", "application/x-www-form-urlencoded")

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
names = st.sampled_from([*JsonQuery.model_fields, "filter.seed.gte", "filter.sampler", "filter."])


def check_handled(response: httpx.Response, kind: Kind) -> None:
    if response.status_code == 200:
        check_answer(response, kind)
    else:
        assert 400 <= response.status_code < 500
        check_problem(response, response.status_code, response.json()["type"].rpartition(":")[2])


@given(query=st.dictionaries(names, st.text(max_size=30)))
def test_any_parameters(client: httpx.Client, url: str, kind: Kind, query: dict[str, str]) -> None:
    check_handled(client.get(url, params=query), kind)


@given(query=st.binary(max_size=100))
def test_any_query_string(client: httpx.Client, url: str, kind: Kind, query: bytes) -> None:
    check_handled(client.get(f"{url}?{quote(query, safe='&=+%;')}"), kind)


@given(value=st.dictionaries(names, json_values) | json_values)
def test_any_json(client: httpx.Client, url: str, kind: Kind, value: Any) -> None:
    check_handled(client.post(url, content=json.dumps(value), headers={"Content-Type": "application/json"}), kind)


@given(
    body=st.binary(max_size=300) | st.binary(max_size=300).map(b"--x\r\n".__add__),
    content_type=st.sampled_from(CONTENT_TYPES),
)
def test_any_body(client: httpx.Client, url: str, kind: Kind, body: bytes, content_type: str) -> None:
    check_handled(client.post(url, content=body, headers={"Content-Type": content_type}), kind)


@given(content=st.binary(max_size=300), start=st.integers(0, 60), encoded=st.booleans())
def test_any_bytes_as_a_picture(
    client: httpx.Client, url: str, kind: Kind, content: bytes, start: int, encoded: bool
) -> None:
    """The bytes are sent alone, or after the beginning of a PNG."""
    content = PNG[:start] + content
    if encoded:
        response = client.post(url, json={"image": base64.b64encode(content).decode()})
    else:
        response = client.post(url, files={"image": content})
    check_handled(response, kind)


@given(content=st.lists(st.tuples(st.integers(0, len(PNG) - 1), st.integers(0, 255)), max_size=20))
def test_any_damage_to_a_picture(client: httpx.Client, url: str, kind: Kind, content: list[tuple[int, int]]) -> None:
    damaged = bytearray(PNG)
    for at, byte in content:
        damaged[at] = byte
    check_handled(client.post(url, files={"image": bytes(damaged)}), kind)
