"""Search with clip-retrieval's own client, in its environment: calls as JSON on standard input, answers as output.

The package's `__init__` imports its server, and with it PyTorch and 80 packages more, which the client does not need:
the client's module is imported alone, from the installed package.
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
    """Return the client's module."""
    spec = importlib.util.find_spec("clip_retrieval")
    assert spec is not None
    package = types.ModuleType("clip_retrieval")
    package.__path__ = list(spec.submodule_search_locations or ())
    sys.modules["clip_retrieval"] = package
    return importlib.import_module("clip_retrieval.clip_client")


def main() -> None:
    """Run the calls, or a file that is named."""
    module = client_module()
    if len(sys.argv) > 1:  # a file to run, such as the documentation's example
        runpy.run_path(sys.argv[1])
        return
    task = json.load(sys.stdin)
    options = task["client"]
    if "modality" in options:
        options["modality"] = module.Modality(options["modality"])
    client = module.ClipClient(**options)
    json.dump([client.query(**call) for call in task["queries"]], sys.stdout)


if __name__ == "__main__":
    main()
