"""Name the packages of a wheel. All other settings are in pyproject.toml, which cannot rename packages that it finds.

`builder` and `service` are the names in a checkout (`python -m builder`). Too general for site-packages, they are
installed as `promptsearch_builder` and `promptsearch_service`.
"""

from setuptools import find_packages, setup

FOLDERS = {"promptsearch": "promptsearch", "promptsearch_builder": "builder", "promptsearch_service": "service"}
EXCLUDED = ("demo", "demo.*")  # trains the demo model from artwork that only a checkout has

packages = [
    package
    for name, folder in FOLDERS.items()
    for package in (name, *(f"{name}.{part}" for part in find_packages(folder, exclude=EXCLUDED)))
]
setup(packages=packages, package_dir=FOLDERS)
