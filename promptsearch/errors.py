"""Every error that prompt-search raises on purpose.

PromptSearchError
├── QueryError              the request is wrong; the message names what is expected
│   ├── EmptyQuery          no text, picture, filter or cursor
│   ├── ParameterError      a parameter is out of range or malformed
│   ├── Unsupported         the engine that holds the collection cannot do this
│   ├── CursorError         the collection did not write this cursor
│   ├── FetchError          no picture can be, or may be, fetched from this URL
│   ├── RequestTooLarge     it has more JSON or form fields than allowed
│   └── PictureError        an upload or file is not a usable picture
│       └── PictureTooLarge it has more bytes or pixels than allowed
├── NotFound
│   ├── UnknownCollection
│   ├── UnknownItem
│   ├── NoFile              the item exists, but its file or thumbnail does not
│   └── CursorGone          the version of the cursor is no longer served
├── NoVectors               the collection (or item) has no vectors of this kind
├── KeyNeeded               the service requires an API key
├── RetryLater              the same request may succeed after some seconds
│   ├── RateExceeded        the client sent more requests than it may
│   ├── Overloaded          the service cannot answer in time
│   └── VersionPending      the version of the cursor exists, but is not served here yet
├── NotReady                the service cannot answer searches now
├── ServiceError            the service cannot be reached, or returned an unexpected response
├── StoreError              the object store cannot be reached, or denies access
├── NotInstalled            a package that this needs is not installed
├── ArtefactError           files on disk are damaged or do not belong together
│   ├── BundleError         a model bundle
│   ├── ModelFault          an encoder fails, or returns what is no vector
│   ├── CollectionError     a collection
│   │   └── DamagedCollection  its files have changed since they were written
│   └── ModelMismatch       the model of a collection is missing or a different one
├── StartError              the service has nothing to serve, or cannot listen
└── BuildError              the build cannot continue
    ├── SourceError         the source cannot be read at all
    └── ExportError         the export failed or differs from the original model

`slug` is the last part of a problem document's `type`, and never changes. `service/http/problems.py` maps the errors to
HTTP, and `promptsearch/client/problems.py` maps them back.
"""

from __future__ import annotations

PROBLEM = "urn:prompt-search:"  # prefix of the `type` of a problem document


class PromptSearchError(Exception):
    """Base of all errors of prompt-search."""

    slug = "error"


class QueryError(PromptSearchError):
    """The request is wrong."""

    slug = "bad-query"


class EmptyQuery(QueryError):
    """The query has no text, picture, filter or cursor."""

    slug = "empty-query"


class ParameterError(QueryError):
    """A parameter is out of range or malformed."""

    slug = "bad-parameter"


class Unsupported(QueryError):
    """The engine that holds the collection cannot do this."""

    slug = "unsupported"


class CursorError(QueryError):
    """The collection did not write this cursor."""

    slug = "bad-cursor"


class FetchError(QueryError):
    """No picture can be, or may be, fetched from this URL."""

    slug = "not-fetched"


class RequestTooLarge(QueryError):
    """The request has more JSON or form fields than allowed."""

    slug = "request-too-large"


class PictureError(QueryError):
    """An upload or file is not a usable picture."""

    slug = "not-a-picture"


class PictureTooLarge(PictureError):
    """A picture has more bytes or pixels than allowed."""

    slug = "picture-too-large"


class NotFound(PromptSearchError):
    """Something that the request names does not exist."""

    slug = "not-found"


class UnknownCollection(NotFound):
    """No collection has this name."""

    slug = "unknown-collection"


class UnknownItem(NotFound):
    """No image or prompt has this id."""

    slug = "unknown-id"


class NoFile(NotFound):
    """The item exists, but its file or thumbnail does not."""

    slug = "no-file"


class CursorGone(NotFound):
    """The version of the cursor is no longer served."""

    slug = "cursor-gone"


class NoVectors(PromptSearchError):
    """The collection (or item) has no vectors of `kind`, `images` or `prompts`."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.slug = f"no-{kind.removesuffix('s')}-index"


class KeyNeeded(PromptSearchError):
    """The service requires an API key."""

    slug = "key-needed"


class RetryLater(PromptSearchError):
    """The same request may succeed in `retry_after` seconds."""

    slug = "retry-later"

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RateExceeded(RetryLater):
    """The client sent more requests than it may."""

    slug = "rate-exceeded"


class Overloaded(RetryLater):
    """The service cannot answer in time."""

    slug = "overloaded"


class VersionPending(RetryLater):
    """The version of the cursor exists, but is not served here yet."""

    slug = "version-pending"


class NotReady(PromptSearchError):
    """The service cannot answer searches now."""

    slug = "not-ready"


class ServiceError(PromptSearchError):
    """The service cannot be reached, or returned an unexpected response.

    `status`, `type` and `detail` are those of the problem document, or None.
    """

    slug = "service-error"

    def __init__(
        self, message: str, *, status: int | None = None, type: str | None = None, detail: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.type = type
        self.detail = detail


class StoreError(PromptSearchError):
    """The object store cannot be reached, or denies access."""

    slug = "store-failed"


class NotInstalled(PromptSearchError):
    """A package that this needs is not installed."""

    slug = "not-installed"


class ArtefactError(PromptSearchError):
    """Files on disk are damaged or do not belong together."""

    slug = "damaged-artefact"


class BundleError(ArtefactError):
    """A model bundle is damaged, incomplete or of another schema."""

    slug = "bad-bundle"


class ModelFault(ArtefactError):
    """An encoder fails, or returns what is no vector: never the fault of what it was given."""

    slug = "model-fault"


class CollectionError(ArtefactError):
    """A collection is damaged, incomplete or of another schema."""

    slug = "bad-collection"


class DamagedCollection(CollectionError):
    """The files of a collection have changed since they were written."""

    slug = "damaged-collection"


class ModelMismatch(ArtefactError):
    """The model of a collection is missing or a different one."""

    slug = "model-mismatch"


class StartError(PromptSearchError):
    """The service has nothing to serve, or cannot listen."""

    slug = "cannot-start"


class BuildError(PromptSearchError):
    """The build cannot continue."""

    slug = "build-failed"


class SourceError(BuildError):
    """The source cannot be read at all."""

    slug = "bad-source"


class ExportError(BuildError):
    """The export failed, or its vectors differ from those of the original model."""

    slug = "export-failed"


def excerpt(name: str, limit: int = 40) -> str:
    """Return a name that a request contains as a message may repeat it: at most `limit` letters, digits and `._-/`."""
    kept = "".join(letter if letter.isalnum() or letter in "._-/" else "?" for letter in name[:limit])
    return f"{kept}…" if len(name) > limit else kept


def one_line(error: BaseException) -> str:
    """Return an error's message in one line, or its type if it has none."""
    return " ".join(str(error).split()) or type(error).__name__
