# prompt-search: the table of contents. `make help` prints it.
.DEFAULT_GOAL := help
.PHONY: help setup setup-test setup-all setup-stores setup-milvus setup-download setup-client setup-peer setup-page \
  demo up test test-all test-rest check lint types format bench lock clean images image-cpu image-gpu

PORT ?= 8000
# The locked sets are tested under these; a later one may lack wheels.
PYTHON ?= $(shell for p in python3.14 python3.13 python3.12 python3.11 python3; do \
  $$p -c 'import sys, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
INSTALL = $(BIN)/uv pip install --quiet --no-deps --require-hashes --python $(BIN)/python
RESULTS := work/test-results
# One process a core, 8 at most. What is compiled is kept: the tests start hundreds of programs.
PYTEST = PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses=logical --maxprocesses=8
# What `make test` leaves to `make test-all`: pyproject.toml says what each needs.
MORE := torch or spark or milvus or download or containers or long

help: ## show this help
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

setup: .venv/.service ## .venv with the service and the torch-free builder
setup-test: .venv/.test ## .venv with the tests' tools and what they need, without PyTorch, Spark and Milvus (0.6 GB more)
setup-all: .venv/.all ## .venv with everything: PyTorch, Spark, Milvus (6 GB more)
setup-stores: .venv/.stores ## .venv with the clients of object stores (s3://…)
setup-milvus: .venv/.milvus ## .venv with Milvus's client, and Milvus Lite
setup-download: .venv-download/.all ## .venv-download, what `python -m builder download` fetches pictures with
setup-client: .venv-client/.all ## .venv-client, clip-retrieval's client and page, which the tests point at the service
setup-page: tools/page/node_modules/.package-lock.json ## what checks the page: TypeScript, Biome and axe-core, by npm
setup-peer: .venv-peer/.all ## .venv-peer, the service that `make bench` compares ours with

demo: indices/emoji/current ## build the emoji collection if it is not there, and serve it (PORT=8000)
	@exec $(BIN)/python -m service --port $(PORT) --collection emoji --files emoji=builder/demo/emoji

up: .venv/.service ## build, serve and follow a folder: FOLDER=DIR [MODEL=models/NAME] [NAME=mine] [PORT=8000]
	@test -n "$(FOLDER)" || { echo "error: name the folder of your pictures: make up FOLDER=DIR" >&2; exit 2; }
	@exec $(BIN)/python -m promptsearch up "$(FOLDER)" --port $(PORT) --no-browser $(if $(MODEL),--model "$(MODEL)") $(if $(NAME),--name "$(NAME)")

test: setup-test setup-client $(if $(shell command -v npm),setup-page) ## every package's tests, without PyTorch, Spark and Milvus
	$(PYTEST) --junitxml=$(RESULTS)/test.xml -m "not ($(MORE))"

test-all: test setup-all lint types test-rest ## every test and every check; .ci/run is this on a bare machine
	@$(BIN)/python tools/sum_test_results.py $(RESULTS)/test.xml $(RESULTS)/rest.xml

test-rest: setup-all setup-download setup-client $(if $(shell command -v npm),setup-page) ## what `make test` leaves out
	$(PYTEST) --junitxml=$(RESULTS)/rest.xml --require-torch -m "$(MORE)"

check: lint types ## lint, format, types, imports, the page's checks, fast tests
	$(PYTEST) -m "not (slow or $(MORE))"

lint: setup-test setup-page
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	npm run --silent --prefix tools/page check

# Without torch its classes are Any to mypy, which some of the strict rules forbid to be derived from and returned.
types: setup-test
	$(BIN)/mypy $$([ -e .venv/.all ] || echo --allow-subclassing-any --no-warn-return-any --no-warn-unused-ignores --allow-untyped-decorators)

format: setup-test setup-page ## rewrite the code in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	npm run --silent --prefix tools/page format

bench: setup-all setup-peer indices/emoji/current ## measure, and write the pages in bench/results/ and docs/
	$(BIN)/python -m bench.demo.quality --out bench/results/demo-quality.md
	$(BIN)/python -m bench.demo.answers --out docs/demo-answers.md
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

LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header
OVERRIDE = --override requirements/overrides.txt
WITH_DEV = $(LOCK) $(OVERRIDE) -c requirements/dev.txt pyproject.toml --extra

lock: .venv/.python ## resolve pyproject.toml's extras and groups into hash-locked requirements/*.txt
	$(LOCK) $(OVERRIDE) pyproject.toml --all-extras --group dev -o requirements/dev.txt
	$(WITH_DEV) service -o requirements/service.txt
	$(WITH_DEV) service --extra builder --group autofaiss -o requirements/builder.txt
	$(WITH_DEV) service --extra builder --extra tracing --extra stores --group test -o requirements/test.txt
	$(WITH_DEV) service --extra builder --extra export --group autofaiss -o requirements/export.txt
	$(WITH_DEV) spark -o requirements/spark.txt
	$(WITH_DEV) stores -o requirements/stores.txt
	$(WITH_DEV) milvus --group milvus -o requirements/milvus.txt
	$(LOCK) --no-deps --group demo -o requirements/demo.txt
	$(LOCK) --no-deps --group client -o requirements/client.txt
	$(LOCK) --group download -o requirements/download.txt
	$(LOCK) $(OVERRIDE) --group peer -o requirements/peer.txt
	$(LOCK) --group uv -o requirements/uv.txt

indices/emoji/current: .venv/.service models/emoji/model.json builder/demo/emoji/manifest.csv promptsearch/storage/manifest.py
	@$(BIN)/python -m builder build manifest builder/demo/emoji --model models/emoji --collection emoji

clean: ## remove what was built: .venv, caches, collections
	rm -rf tools/page/node_modules .venv .venv-download .venv-client .venv-peer .pytest_cache .mypy_cache .ruff_cache .import_linter_cache build indices/*/ indices/.cache

.venv/.python: requirements/uv.txt
	@test -n "$(PYTHON)" || { echo "prompt-search needs Python 3.11, 3.12, 3.13 or 3.14 with venv, found $$(python3 --version 2>&1). \
	Install one, or let uv bring one: pip install uv; uv python install 3.14; make PYTHON=\"\$$(uv python find 3.14)\" ... \
	Any other is named the same way: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { echo "creating .venv with $(PYTHON)"; $(PYTHON) -m venv --clear .venv; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

.venv/.service: .venv/.python requirements/builder.txt
	@echo "installing the service and the builder (hash-locked)"
	@$(INSTALL) -r requirements/builder.txt
	@touch $@

.venv/.stores: .venv/.service requirements/stores.txt
	@echo "installing the clients of object stores (hash-locked, 30 MB)"
	@$(INSTALL) -r requirements/stores.txt
	@touch $@

.venv/.milvus: .venv/.service requirements/milvus.txt
	@echo "installing Milvus's client (hash-locked, 150 MB)"
	@$(INSTALL) -r requirements/milvus.txt
	@touch $@

.venv/.test: .venv/.service requirements/test.txt
	@echo "installing the tests' tools (hash-locked, 0.6 GB)"
	@$(INSTALL) --compile-bytecode -r requirements/test.txt
	@touch $@

.venv/.all: .venv/.test requirements/dev.txt
	@echo "installing PyTorch, Spark and Milvus (hash-locked, about 6 GB)"
	@$(INSTALL) --compile-bytecode -r requirements/dev.txt
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
