"""The engine on Milvus, for collections that outgrow one machine: the extra `milvus` (`pymilvus`).

A version is two Milvus collections, one of images and one of prompts, whose primary keys are the rows; nothing in them
changes once they are published. `builder/milvus/` fills them. What stays in the version's folder is its manifest, the
list of its fields and its thumbnails, so that versions are switched, refused and swept as those on files are.
"""
