# prompt-search: the table of contents. `make help` prints it.
.DEFAULT_GOAL := help
.PHONY: help setup setup-all setup-stores setup-milvus setup-download setup-client setup-peer setup-page demo test check format bench lock clean

PORT ?= 8000
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
  $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
INSTALL = $(BIN)/uv pip install --quiet --no-deps --require-hashes --python $(BIN)/python

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

setup: .venv/.service ## .venv with the service and the torch-free builder
setup-all: .venv/.all ## .venv completed with torch and the tests' tools
setup-stores: .venv/.stores ## .venv with what object stores (s3://…) are reached with
setup-milvus: .venv/.milvus ## .venv with Milvus's client, and Milvus Lite
setup-download: .venv-download/.all ## .venv-download, what `python -m builder download` fetches pictures with
setup-client: .venv-client/.all ## .venv-client, clip-retrieval's client and page, which the tests point at the service
setup-page: tools/page/node_modules/.package-lock.json ## what checks the page: TypeScript, Biome and axe-core, by npm
setup-peer: .venv-peer/.all ## .venv-peer, the service that `make bench` compares ours with

demo: indices/emoji/current ## build the emoji collection if it is not there, and serve it (PORT=8000)
	@exec $(BIN)/python -m service --port $(PORT) --collection emoji --files emoji=builder/demo/emoji

test: setup-all setup-download setup-client $(if $(shell command -v npm),setup-page) ## every test
	$(BIN)/python -m pytest

check: setup-all setup-client setup-page ## lint, format, types, imports, fast tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	npm run --silent --prefix tools/page check
	$(BIN)/python -m pytest -m "not slow"

format: setup-all setup-page ## rewrite the code in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	npm run --silent --prefix tools/page format

bench: setup-all setup-peer indices/emoji/current ## measure, and write the pages in bench/results/ and docs/
	$(BIN)/python -m bench.demo_quality --out bench/results/demo-quality.md
	$(BIN)/python -m bench.demo_answers --out docs/demo-answers.md
	$(BIN)/python -m bench.builder_speed
	$(BIN)/python -m bench.index_quality 100k 1M
	$(BIN)/python -m bench.scaling 10k 30k 100k 300k 1M
	$(BIN)/python -m bench.service_speed
	$(BIN)/python -m bench.page_speed

images: image-cpu image-gpu ## the container images, with docker

# What an image was made from, for whoever finds it somewhere.
LABELS = $(addprefix --label org.opencontainers.image.,version=$(VERSION) revision=$(REVISION))
VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"$$/\1/p' promptsearch/version.py)
REVISION = $(shell git rev-parse HEAD 2>/dev/null || echo unknown)

image-cpu: ## … those without PyTorch: the service, and the small builder
	docker build -f Dockerfile.cpu $(LABELS) -t prompt-search .
	docker build -f Dockerfile.cpu $(LABELS) --target builder -t prompt-search-builder:cpu .

image-gpu: ## … the builder with PyTorch
	docker build -f Dockerfile.gpu $(LABELS) -t prompt-search-builder:gpu .

lock: .venv/.python ## resolve requirements/*.in into hash-locked requirements/*.txt
	for set in dev export builder service spark milvus stores; do \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	    --override requirements/overrides.txt $$([ $$set = dev ] || echo -c requirements/dev.txt) \
	    -o requirements/$$set.txt requirements/$$set.in || exit 1; \
	done
	for set in demo client; do \
	  $(BIN)/uv pip compile --quiet --universal --no-deps --python-version 3.11 --generate-hashes --no-annotate --no-header \
	    -o requirements/$$set.txt requirements/$$set.in || exit 1; \
	done
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  -o requirements/download.txt requirements/download.in
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  --override requirements/overrides.txt -o requirements/peer.txt requirements/peer.in

indices/emoji/current: .venv/.service models/emoji/model.json builder/demo/emoji/manifest.csv promptsearch/storage/manifest.py
	@$(BIN)/python -m builder build manifest builder/demo/emoji --model models/emoji --collection emoji

clean: ## remove what was built: .venv, caches, collections
	rm -rf tools/page/node_modules .venv .venv-download .venv-client .venv-peer .pytest_cache .mypy_cache .ruff_cache .import_linter_cache indices/*/

.venv/.python: requirements/uv.txt
	@test -n "$(PYTHON)" || { echo "prompt-search needs Python 3.11, 3.12 or 3.13 with venv; \
	found $$(python3 --version 2>&1). Install one, or name it: make PYTHON=/path/to/python3.12 …" >&2; exit 1; }
	@test ! -L .venv || { echo ".venv is a link to $$(readlink -f .venv), whose content would be deleted: remove the link, or \
	bring that environment up to date where it is" >&2; exit 1; }
	@echo "creating .venv with $(PYTHON)"
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

.venv/.service: .venv/.python requirements/builder.txt
	@echo "installing the service and the builder (hash-locked)"
	@$(INSTALL) -r requirements/builder.txt
	@touch $@

.venv/.stores: .venv/.service requirements/stores.txt
	@echo "installing what object stores are reached with (hash-locked, 30 MB)"
	@$(INSTALL) -r requirements/stores.txt
	@touch $@

.venv/.milvus: .venv/.service requirements/milvus.txt
	@echo "installing Milvus's client (hash-locked, 150 MB)"
	@$(INSTALL) -r requirements/milvus.txt
	@touch $@

.venv/.all: .venv/.service requirements/dev.txt
	@echo "installing torch and the tests' tools (hash-locked, about 6 GB)"
	@$(INSTALL) -r requirements/dev.txt
	@touch $@

.venv-download/.all: .venv/.python requirements/download.txt
	@echo "installing img2dataset into an environment of its own (hash-locked, about 650 MB)"
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-download
	@$(BIN)/uv pip install --quiet --no-deps --require-hashes --python .venv-download/bin/python -r requirements/download.txt
	@touch $@

.venv-client/.all: .venv/.python requirements/client.txt
	@echo "installing clip-retrieval's client into an environment of its own (hash-locked, 4 MB)"
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-client
	@$(BIN)/uv pip install --quiet --no-deps --require-hashes --python .venv-client/bin/python -r requirements/client.txt
	@touch $@

.venv-peer/.all: .venv/.python requirements/peer.txt
	@echo "installing clip-retrieval into an environment of its own (hash-locked, about 6 GB, most of it torch)"
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-peer
	@$(BIN)/uv pip install --quiet --no-deps --require-hashes --python .venv-peer/bin/python -r requirements/peer.txt
	@touch $@

tools/page/node_modules/.package-lock.json: tools/page/package-lock.json
	@command -v npm >/dev/null || { echo "the page's checks need Node 18 or newer, with npm: apt-get install nodejs npm, \
	or https://nodejs.org/en/download" >&2; exit 1; }
	@echo "installing what checks the page (locked, about 80 MB)"
	@npm ci --silent --prefix tools/page
	@touch $@
