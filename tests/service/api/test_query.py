"""Every query gets an answer or a problem that names what is expected."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest

from promptsearch.encoding.encoders import unit
from promptsearch.search.collection import Collection
from promptsearch.search.cursor import Cursor
from promptsearch.search.options import Search
from promptsearch.storage.manifest import Kind
from tests.service.support.serving import Service
from tests.service.support.shapes import check_answer, check_problem
from tests.support.drawing import as_bytes, picture

PNG = as_bytes(picture())
FORM = {"Content-Type": "multipart/form-data; boundary=x"}
JSON = {"Content-Type": "application/json"}

Send = Callable[[str], httpx.Response]


def get(**parameters: str | int) -> Send:
    return lambda url: httpx.get(url, params=parameters)


def raw(query: str) -> Send:
    return lambda url: httpx.get(f"{url}?{query}")


def post_json(value: Any) -> Send:
    return lambda url: httpx.post(url, content=json.dumps(value), headers=JSON)


def post(content: bytes, headers: dict[str, str]) -> Send:
    return lambda url: httpx.post(url, content=content, headers=headers)


def upload(content: bytes, name: str = "image", **fields: str) -> Send:
    return lambda url: httpx.post(url, files={name: content}, data=fields)


def part(name: str, value: bytes, extra: str = "") -> bytes:
    return f'--x\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'.encode() + value + b"\r\n"


NOTHING = "the query is empty: send `q`, `image`, `terms`, `filter` or a field as `sort`"
NO_PICTURE = "this is not a picture that can be read; readable are JPEG, PNG"
PARAMETERS = re.escape("(parameters are q, negative, image, terms, filter, collection, limit, cursor, mode, sort")

EMPTY: dict[str, Send] = {
    "no q": get(),
    "empty q": get(q=""),
    "blank q": get(q=" \t\n\u3000"),
    "empty form": post(b"", {"Content-Type": "application/x-www-form-urlencoded"}),
    "form with empty fields": lambda url: httpx.post(url, data={"q": "", "limit": "", "collection": ""}),
    "multipart without parts": post(b"--x--\r\n", FORM),
    "unchosen file": post(part("image", b"", '; filename=""') + b"--x--\r\n", FORM),
    "blank q in a form": lambda url: httpx.post(url, data={"q": "  "}),
    "empty JSON object": post_json({}),
    "null in JSON": post_json({"q": None, "image": None, "cursor": None}),
    "blank q in JSON": post_json({"q": " "}),
}

PICTURES: dict[str, tuple[bytes, str]] = {
    "text": (b"no picture at all", NO_PICTURE),
    "empty": (b"", "is empty"),
    "truncated PNG": (PNG[:2000], "the picture is damaged"),
    "PNG header": (PNG[:40], "picture"),
    "SVG": (b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', NO_PICTURE),
    "HTML": (b"<!doctype html><title>404</title>", NO_PICTURE),
    "PDF": (b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\n", NO_PICTURE),
    "zeros": (bytes(5000), NO_PICTURE),
}

BAD_PARAMETERS: dict[str, tuple[Send, str]] = {
    "limit 0": (get(q="x", limit=0), "limit: input should be greater than or equal to 1"),
    "limit 201": (get(q="x", limit=201), "limit: input should be less than or equal to 200"),
    "limit -1": (get(q="x", limit=-1), "limit: input should be greater"),
    "limit abc": (get(q="x", limit="abc"), "limit: input should be a valid integer"),
    "limit empty": (get(q="x", limit=""), "limit: input should be a valid integer"),
    "limit 1.5": (get(q="x", limit="1.5"), "limit: input should be a valid integer"),
    "limit of many digits": (get(q="x", limit="9" * 5000), "limit: "),
    "limit NUL": (raw("q=x&limit=%00"), "limit: input should be a valid integer"),
    "form limit 0": (lambda url: httpx.post(url, data={"q": "x", "limit": "0"}), f"limit: .* {PARAMETERS}"),
    "form limit 201": (upload(PNG, limit="201"), "limit: input should be less"),
    "form limit abc": (upload(PNG, limit="abc"), "limit: input should be a valid integer"),
    "JSON limit 0": (post_json({"q": "x", "limit": 0}), "limit: input should be greater"),
    "JSON limit 201": (post_json({"q": "x", "limit": 201}), "limit: input should be less"),
    "JSON limit null": (post_json({"q": "x", "limit": None}), "limit: input should be a valid integer"),
    "JSON limit NaN": (post(b'{"q": "x", "limit": NaN}', JSON), "limit: "),
    "JSON limit 1e999": (post(b'{"q": "x", "limit": 1e999}', JSON), "limit: "),
    "JSON q number": (post_json({"q": 5}), "q: input should be a valid string"),
    "JSON q list": (post_json({"q": ["x"]}), "q: input should be a valid string"),
    "JSON q half a surrogate": (post_json({"q": "\ud83e"}), "q: "),
    "JSON q too long": (post_json({"q": "x" * 10_001}), "q: string should have at most 10000 characters"),
    "JSON q nested": (post(b'{"q": ' + b"[" * 900 + b"]" * 900 + b"}", JSON), "the body is nested too deeply"),
    "JSON image number": (post_json({"image": 5}), "image: input should be a valid string"),
    "unknown JSON field": (post_json({"query": "x"}), f"query: extra inputs are not permitted {PARAMETERS}"),
    "unknown JSON field body": (post_json({"q": "x", "body": 1}), "body: extra inputs"),
    "unknown JSON field in surrogates": (post_json({"\ud83e": 1}), "unable to parse raw data as a unicode string"),
    "unknown form field": (upload(PNG, top="5"), "top: extra inputs are not permitted"),
    "unknown form field in bytes": (
        post(b'--x\r\nContent-Disposition: form-data; name="\xff"\r\n\r\n1\r\n--x--\r\n', FORM),
        "extra inputs are not permitted",
    ),
    "picture in another field": (upload(PNG, "file"), "a file was sent as 'file': send a picture in .* `image`"),
    "q as a file": (upload(b"x", "q"), "a file was sent as 'q'"),
    "image as text": (
        lambda url: httpx.post(url, data={"image": "@cat.png"}),
        "image was sent as text.* -F image=@FILE",
    ),
    "33 terms": (
        lambda url: httpx.post(url, files=[("image", PNG)] * 32, data={"q": "x"}),
        "a query must have at most 32 terms",
    ),
    "two q": (lambda url: httpx.post(url, data={"q": ["x", "y"]}), "q was sent twice"),
    "parameters in the URL": (
        lambda url: httpx.post(url, params={"limit": 3}, files={"image": PNG}),
        "a POST takes its parameters from the body, not from the URL",
    ),
    "no content type": (post(b"x", {}), "content type '' is not supported: send multipart/form-data"),
    "text/plain": (post(b"x", {"Content-Type": "text/plain"}), "content type 'text/plain' is not supported"),
    "bare picture": (post(PNG, {"Content-Type": "image/png"}), "content type 'image/png' is not supported"),
    "JSON cut off": (post(b'{"q": "x', JSON), "the body is not valid JSON: "),
    "JSON empty": (post(b"", JSON), "the body is not valid JSON: "),
    "JSON in latin-1": (post('{"q": "é"}'.encode("latin-1"), JSON), "the body is not valid JSON: "),
    "JSON deeply nested": (post(b"[" * 100_000, JSON), "the body is nested too deeply"),
    "JSON deeply nested and whole": (post(b"[" * 100_000 + b"]" * 100_000, JSON), "the body is nested too deeply"),
    "JSON number of many digits": (post(b'{"limit": ' + b"9" * 5000 + b"}", JSON), "the body is not valid JSON: "),
    "JSON list": (post_json(["x"]), 'the body must be a JSON object, such as {"q": "happy dog"}'),
    "JSON string": (post_json("x"), "the body must be a JSON object"),
    "JSON null": (post_json(None), "the body must be a JSON object"),
    "unknown in the URL": (raw("q=fox&other=1"), "unknown parameter 'other': expected one of q, negative"),
    "cursor beside q": (get(q="x", cursor="x"), "a cursor contains its query and options: send it without them"),
    "cursor beside image": (upload(PNG, cursor="x"), "a cursor contains its query"),
    "cursor beside q in JSON": (post_json({"q": "x", "cursor": "x"}), "a cursor contains its query"),
}

MALFORMED: dict[str, Send] = {
    "no boundary": post(part("q", b"x"), {"Content-Type": "multipart/form-data"}),
    "another boundary": post(part("q", b"x") + b"--x--\r\n", {"Content-Type": "multipart/form-data; boundary=y"}),
    "garbage": post(bytes(range(256)) * 10, FORM),
    "no name": post(b"--x\r\nContent-Disposition: form-data\r\n\r\nx\r\n--x--\r\n", FORM),
    "no disposition": post(b"--x\r\n\r\nx\r\n--x--\r\n", FORM),
    "too many parts": post(b"".join(part(f"q{n}", b"x") for n in range(250)) + b"--x--\r\n", FORM),
    "too many pictures": lambda url: httpx.post(url, files=[("image", PNG)] * 40),
    "a field of two megabytes": lambda url: httpx.post(url, files={"q": (None, "x" * 2_000_000)}),
}

CURSORS = {
    "garbage": "garbage",
    "empty": "",
    "NUL": "\0",
    "letters outside ASCII": "夜" * 40,
    "only zeros": "A" * 200,
    "checksum of nothing": base64.urlsafe_b64encode(zlib.crc32(b"").to_bytes(4, "little")).decode(),
    "too long": "A" * 4000,
}


@pytest.mark.parametrize("way", EMPTY)
def test_empty_queries(url: str, way: str) -> None:
    assert check_problem(EMPTY[way](url), 400, "empty-query") == NOTHING


@pytest.mark.parametrize("what", PICTURES)
def test_no_picture(url: str, what: str) -> None:
    content, detail = PICTURES[what]
    assert detail in check_problem(upload(content)(url), 415, "not-a-picture")
    assert detail in check_problem(upload(content, q="with a text")(url), 415, "not-a-picture")
    for prefix in ("", "data:image/png;base64,"):
        encoded = {"image": prefix + base64.b64encode(content).decode()}
        assert detail in check_problem(post_json(encoded)(url), 415, "not-a-picture")


@pytest.mark.parametrize("what", BAD_PARAMETERS)
def test_bad_parameter(url: str, what: str) -> None:
    send, detail = BAD_PARAMETERS[what]
    assert re.search(detail, check_problem(send(url), 400, "bad-parameter"))


@pytest.mark.parametrize("what", MALFORMED)
def test_malformed_form(url: str, what: str) -> None:
    check_problem(MALFORMED[what](url), 400, "bad-request")


@pytest.mark.parametrize(
    "image", ["é", "no base64!", "A", "data:image/png;base64,?", "data:image/svg+xml,<svg/>", "\0"]
)
def test_bad_base64(url: str, image: str) -> None:
    response = post_json({"image": image})(url)
    detail = check_problem(response, 400, "bad-query")
    assert detail == "image is not valid base64; send a file as multipart/form-data instead"


@pytest.mark.parametrize("send", [get(q="x", collection="other"), post_json({"q": "x", "collection": "other"})])
def test_unknown_collection(url: str, send: Send) -> None:
    assert check_problem(send(url), 404, "unknown-collection") == "unknown collection 'other': expected one of tiny"


@pytest.mark.parametrize("what", CURSORS)
def test_no_cursor(url: str, what: str) -> None:
    detail = check_problem(httpx.get(url, params={"cursor": CURSORS[what]}), 400, "bad-cursor")
    assert detail == "this is not a cursor: pass the `next` of an answer unchanged"


def test_a_cursor_changed_in_any_letter(server: Service, client: httpx.Client, url: str, kind: Kind) -> None:
    cursor = server.get(f"/search/{kind}", q="fox", limit=1).json()["next"]
    for at in range(0, len(cursor) - 1, 7):  # bits of the last letter may carry nothing
        changed = cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :]
        check_problem(client.get(url, params={"cursor": changed}), 400, "bad-cursor")


@pytest.mark.parametrize("values", [[1e38] * 32, [0.0] * 32, [1e-38] * 32, [1.0] * 31, []])
def test_a_forged_cursor_is_refused(tiny: Collection, url: str, kind: Kind, values: list[float]) -> None:
    """The cursor has a right checksum and the right version, but a vector that no response had."""
    vector = np.array(values, dtype=np.float32)
    cursor = Cursor(tiny.version, Search(kind, vector), 0).encode()
    assert "`next`" in check_problem(httpx.get(url, params={"cursor": cursor}), 400, "bad-cursor")


def test_a_cursor_past_the_end_is_an_empty_page(tiny: Collection, url: str, kind: Kind) -> None:
    vector = unit(np.ones(32, dtype=np.float32))
    cursor = Cursor(tiny.version, Search(kind, vector, exclude=(2**62,)), 2**32 - 1).encode()
    answer = check_answer(httpx.get(url, params={"cursor": cursor}), kind)
    assert (answer["results"], answer["next"]) == ([], None)


@pytest.mark.parametrize("query", ["q=%00", "q=%ff%fe", "q=%ed%a0%80", "q=%F0%9F%A6%8A", "q=a+%26+b", "q=x;y"])
def test_strange_texts_are_texts(url: str, kind: Kind, query: str) -> None:
    check_answer(httpx.get(f"{url}?{query}"), kind)


def test_the_last_of_repeated_parameters_counts(url: str, kind: Kind) -> None:
    assert len(check_answer(httpx.get(f"{url}?q=fox&limit=3&limit=1"), kind)["results"]) == 1
