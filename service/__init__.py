"""Online: the HTTP service over what the builder published. CPU only; never imports torch, clip or autofaiss."""
