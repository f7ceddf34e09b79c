"""Pictures behind links, fetched with img2dataset."""
