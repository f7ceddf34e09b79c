"""Vision transformers in the layout of OpenAI's CLIP: graphs, tokens and a reference, without PyTorch."""
