"""Everything prompt-search raises on purpose.

PromptSearchError
├── QueryError              the request is wrong; it says what would be right
│   ├── EmptyQuery          neither text nor picture nor cursor
│   ├── ParameterError      a parameter that is out of range or malformed
│   ├── Unsupported         what the engine that holds this collection cannot do
│   ├── CursorError         a cursor that this collection did not write
│   ├── FetchError          a picture's address from which none could be, or may be, fetched
│   └── PictureError        an upload or file that is no usable picture
│       └── PictureTooLarge more bytes or pixels than allowed
├── NotFound
│   ├── UnknownCollection
│   ├── UnknownItem
│   ├── NoFile              an item that exists, but without what was asked for
│   └── CursorGone          the version that a cursor names is no longer served
├── NoVectors               the collection (or item) has no vectors of that kind
├── KeyNeeded               the service asks for an API key, and this is none
├── RateExceeded            one client asks more often than it may
├── Overloaded              more is asked than can be answered in time
├── NotReady                the service cannot answer searches now
├── VersionPending          the version that a cursor names is there, but not served here yet
├── ServiceError            a service that cannot be reached, or whose answer is none of these
├── StoreError              an object store that cannot be reached, or does not allow what is asked
├── NotInstalled            a package that is needed for what is asked, and not there
├── ArtefactError           what lies on disk is damaged or does not belong together
│   ├── BundleError         a model bundle
│   ├── CollectionError     a collection
│   └── ModelMismatch       a collection whose model is missing or another one
├── StartError              the service has nothing to serve, or cannot listen
└── BuildError              the builder cannot go on
    ├── SourceError         a source that cannot be read at all
    └── ExportError         an export that failed or is not faithful

`slug` is the stable last part of a problem document's `type`; `service/http/problems.py` maps the tree to HTTP, and
`promptsearch/client/problems.py` back.
"""

from __future__ import annotations

PROBLEM = "urn:prompt-search:"  # what the `type` of a problem document begins with


class PromptSearchError(Exception):
    slug = "error"


class QueryError(PromptSearchError):
    slug = "bad-query"


class EmptyQuery(QueryError):
    slug = "empty-query"


class ParameterError(QueryError):
    slug = "bad-parameter"


class Unsupported(QueryError):
    slug = "unsupported"


class CursorError(QueryError):
    slug = "bad-cursor"


class FetchError(QueryError):
    slug = "not-fetched"


class PictureError(QueryError):
    slug = "not-a-picture"


class PictureTooLarge(PictureError):
    slug = "picture-too-large"


class NotFound(PromptSearchError):
    slug = "not-found"


class UnknownCollection(NotFound):
    slug = "unknown-collection"


class UnknownItem(NotFound):
    slug = "unknown-id"


class NoFile(NotFound):
    slug = "no-file"


class CursorGone(NotFound):
    slug = "cursor-gone"


class NoVectors(PromptSearchError):
    """`kind` is `images` or `prompts`."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.slug = f"no-{kind.removesuffix('s')}-index"


class KeyNeeded(PromptSearchError):
    slug = "key-needed"


class RateExceeded(PromptSearchError):
    """`retry_after`: seconds until the next request may succeed."""

    slug = "rate-exceeded"

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Overloaded(PromptSearchError):
    """`retry_after`: seconds until there is likely room again."""

    slug = "overloaded"

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NotReady(PromptSearchError):
    slug = "not-ready"


class VersionPending(PromptSearchError):
    """`retry_after`: seconds until it may be served."""

    slug = "version-pending"

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ServiceError(PromptSearchError):
    """`type` and `detail` are those of its problem document; None, like `status`, where there was none."""

    slug = "service-error"

    def __init__(
        self, message: str, *, status: int | None = None, type: str | None = None, detail: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.type = type
        self.detail = detail


class StoreError(PromptSearchError):
    slug = "store-failed"


class NotInstalled(PromptSearchError):
    slug = "not-installed"


class ArtefactError(PromptSearchError):
    slug = "damaged-artefact"


class BundleError(ArtefactError):
    slug = "bad-bundle"


class CollectionError(ArtefactError):
    slug = "bad-collection"


class ModelMismatch(ArtefactError):
    slug = "model-mismatch"


class StartError(PromptSearchError):
    slug = "cannot-start"


class BuildError(PromptSearchError):
    slug = "build-failed"


class SourceError(BuildError):
    slug = "bad-source"


class ExportError(BuildError):
    slug = "export-failed"
