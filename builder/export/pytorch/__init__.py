"""Models that are exported with PyTorch: ResNets, SigLIP, XLM-R and the rest of open_clip."""
