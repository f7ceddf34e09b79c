"""Asks as clip-retrieval's own client, in its environment: arguments and calls as JSON on standard input, answers out.

The package's `__init__` imports its server, and with it PyTorch and 80 packages more, which the client does not need:
the client is imported as the module that it is, out of the package as it is installed.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import runpy
import sys
import types
from typing import Any


def client_module() -> Any:
    spec = importlib.util.find_spec("clip_retrieval")
    assert spec is not None
    package = types.ModuleType("clip_retrieval")
    package.__path__ = list(spec.submodule_search_locations or ())
    sys.modules["clip_retrieval"] = package
    return importlib.import_module("clip_retrieval.clip_client")


def main() -> None:
    module = client_module()
    if len(sys.argv) > 1:  # a file to run, such as the documentation's example
        runpy.run_path(sys.argv[1])
        return
    asked = json.load(sys.stdin)
    options = asked["client"]
    if "modality" in options:
        options["modality"] = module.Modality(options["modality"])
    client = module.ClipClient(**options)
    json.dump([client.query(**call) for call in asked["queries"]], sys.stdout)


if __name__ == "__main__":
    main()
