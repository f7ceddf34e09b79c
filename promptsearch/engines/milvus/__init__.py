"""The engine on Milvus, for collections that outgrow one machine: the extra `milvus` (`pymilvus`).

A version is two Milvus collections, one of images and one of prompts, whose primary keys are the rows. They never
change after publication; `builder/milvus/` fills them. The version's folder keeps the manifest, the list of fields and
the thumbnails, so versions are switched, refused and removed like those on files.
"""
