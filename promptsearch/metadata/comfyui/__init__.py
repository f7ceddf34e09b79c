"""ComfyUI: follow the graph back from the node that saved the picture, whatever the nodes are called."""

from promptsearch.metadata.comfyui.reader import read, read_graph

__all__ = ["read", "read_graph"]
