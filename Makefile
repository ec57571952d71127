# Everything runs from a virtual environment, .venv, that the targets make when it is missing or old.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check install --quiet
# Packages from an index, with a dot a second; where they do not come, the last of pip's lines says why.
define FETCH
	@(while sleep 1 && kill -0 $$$$ 2>/dev/null; do printf .; done) & dots=$$!; \
	$(PIP) --retries 1 --require-hashes --requirement $(1) 2>.venv/pip.log; status=$$?; kill $$dots; echo; \
	[ $$status -eq 0 ] || { echo "make: Python packages could not be installed: $$(grep -m 1 -i error .venv/pip.log);" \
	  "pip's own settings apply, such as PIP_INDEX_URL and HTTPS_PROXY; all of it is in .venv/pip.log" >&2; exit 2; }
endef
VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"$$/\1/p' webhook/hazelcast_sidecar/version.py)
WEBHOOK_IMAGE ?= hazelcast-sidecar-injector:$(VERSION)
DEMO_IMAGE ?= hazelcast-sidecar-demo:$(VERSION)
MEMBER_IMAGE ?= hazelcast-sidecar-member:$(VERSION)
# Commits, the older one first.
EARLIER := 6dc3038 79743dd
FUZZ_SECONDS ?= 60
KUBECTL ?= kubectl
OURS := app.kubernetes.io/part-of=hazelcast-sidecar-injector
export WEBHOOK_IMAGE DEMO_IMAGE MEMBER_IMAGE

.DEFAULT_GOAL := help
.PHONY: help demo dev test quick test-matrix fuzz coverage mutants bench charts lint format manifests install-yaml certs \
  images client earlier sbom release audit uninstall e2e test-faults lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/.demo ## Run two replicas with real Hazelcast members and the real webhook on this machine
	@$(BIN)/hazelcast-sidecar demo $(ARGS)

# More processes than a small machine has cores: most tests wait for other programs.
test: .venv/.dev ## Run the tests, side by side: core, server, real members, a real kube-apiserver (ARGS='-k name' for some)
	$(BIN)/pytest $(or $(ARGS),-n 4)

# Without what pytest does around each test for what is not here: captured logs, and tests that hang.
quick: .venv/.dev ## Run the tests of the inner loop in seconds: unit, golden and command line
	$(BIN)/pytest -n 2 -q -p no:logging -o faulthandler_timeout=0 -m "not slow and not heavy" --hypothesis-profile=quick tests/unit tests/golden tests/cli $(ARGS)

test-matrix: .venv/.dev ## Run what depends on it on each Kubernetes and Python (ARGS='--kubernetes 1.30 --short' for some)
	@$(BIN)/python -m tests.matrix $(ARGS)

fuzz: .venv/.fuzz ## Feed the reviews mutated bodies for FUZZ_SECONDS (60); what fails is kept in build/fuzz
	@mkdir -p build/fuzz/corpus
	$(BIN)/python -m tests.fuzz.program -max_total_time=$(FUZZ_SECONDS) -timeout=5 -rss_limit_mb=1024 -max_len=65536 \
	  -artifact_prefix=build/fuzz/ -print_final_stats=1 $(ARGS) build/fuzz/corpus tests/fuzz/corpus

bench: .venv/.dev ## Measure speed; tables, and JSON in build/bench (ARGS='hotpath --quick' for one part; needs Go)
	$(BIN)/python -m tests.bench $(ARGS)

charts: .venv/.dev ## Draw the charts of the documents from their tables: docs/images/*.svg
	$(BIN)/python -m tests.bench.charts

coverage: .venv/.dev ## Measure which lines and branches the tests run; fails where it is less of the core than it was
	$(BIN)/python -m tests.mutants.measure

mutants: .venv/.dev ## Put small faults into the code and count which the tests notice (ARGS='--area checks --count 10')
	$(BIN)/python -m tests.mutants $(ARGS)

lint: .venv/.dev ## Check style, types and the floors of the architecture
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

dev: .venv/.dev ## Run a real kube-apiserver with webhook and controller, which each change of the code restarts
	@$(BIN)/python -m tests.dev

format: .venv/.dev ## Put the code into its style
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

manifests: .venv/.dev ## Write the files of manifests/ that come from the code: webhook, RBAC, alerts, dashboards, chart
	$(BIN)/python -m manifests.make

install-yaml: .venv/.dev ## Write build/install.yaml: the whole installation as one file (ARGS='--set image=...')
	@mkdir -p build
	$(BIN)/hazelcast-sidecar install $(ARGS) >build/install.yaml

certs: .venv/.demo ## Make a development CA and the webhook's certificate, for manifests/overlays/dev
	$(BIN)/python certs/make.py $(ARGS)

images: ## Build the images with Docker or Podman (WEBHOOK_IMAGE, DEMO_IMAGE, MEMBER_IMAGE name them)
	@engine=$$(command -v docker || command -v podman) || { echo "make images: needs docker or podman" >&2; exit 2; }; \
	"$$engine" build --tag "$(WEBHOOK_IMAGE)" . && "$$engine" build --tag "$(DEMO_IMAGE)" demo-app && \
	"$$engine" build --tag "$(MEMBER_IMAGE)" member

# For an end-to-end test, which CLIENT_IMAGE tells the image.
client: ## Build the Go client for an image into build/client; the image: `docker build build/client`
	@mkdir -p build/client && cp demo-app/clients/go/main.go demo-app/clients/go/go.mod demo-app/clients/go/go.sum \
	  demo-app/clients/go/Dockerfile build/client
	cd build/client && CGO_ENABLED=0 go build -mod=readonly -buildvcs=false -trimpath -o put-get .

# For an end-to-end test, which EARLIER_IMAGES tells the images.
earlier: ## Take earlier versions from the history into build/earlier; the images: `docker build build/earlier/COMMIT`
	@for commit in $(EARLIER); do \
	  git cat-file -e "$$commit^{commit}" 2>/dev/null || { echo "make earlier: the history here has no commit $$commit;" \
	    "get all of it: git fetch --unshallow" >&2; exit 2; }; \
	  rm -rf build/earlier/$$commit && mkdir -p build/earlier/$$commit && \
	  git archive $$commit | tar --extract --directory build/earlier/$$commit || exit 1; \
	done
	@echo "$(addprefix hazelcast-sidecar-injector:,$(EARLIER))"

# An environment as the image has it: what runs, and neither pip nor a build tool.
sbom: .venv/.demo build/tools/sbom ## List the image's Python packages (CycloneDX): build/sbom.cdx.json
	@rm -rf build/sbom && $(BIN)/python -m venv --without-pip build/sbom/runtime
	@$(BIN)/pip --disable-pip-version-check wheel --quiet --no-deps --no-build-isolation --wheel-dir build/sbom .
	@for what in "--require-hashes --requirement requirements/runtime.lock" \
	    "--no-deps --no-index --find-links build/sbom hazelcast-sidecar-injector"; do \
	  $(BIN)/pip --disable-pip-version-check --python build/sbom/runtime install --quiet --no-compile $$what || exit 1; \
	done
	@build/tools/sbom/bin/cyclonedx-py environment --output-reproducible --output-file build/sbom.cdx.json build/sbom/runtime

release: .venv/.dev sbom ## Make all files of a release in dist/, of the commit that is checked out; publish nothing
	@$(BIN)/python -m release --sbom build/sbom.cdx.json $(ARGS)

# Strictly: of what its source knows nothing, nothing is known.
audit: build/tools/audit ## Ask PyPI whether a package that runs has a known vulnerability
	build/tools/audit/bin/pip-audit --strict --disable-pip --require-hashes --requirement requirements/runtime.lock $(ARGS)

# First what the API server asks, so that nothing depends on the rest; of policies first the one that denies.
uninstall: ## Take the injector off the cluster that KUBECONFIG names; Pods keep their members
	$(KUBECTL) delete mutatingwebhookconfiguration hazelcast-sidecar-injector --ignore-not-found
	@for kind in $$($(KUBECTL) api-resources --api-group=admissionregistration.k8s.io --output=name | \
	    grep admissionpolic | sort --reverse); do \
	  $(KUBECTL) delete $$kind hazelcast-sidecar-injector --ignore-not-found || exit 1; \
	done
	$(KUBECTL) delete namespace hazelcast-sidecar-injector --ignore-not-found --timeout=5m
	$(KUBECTL) delete clusterrolebinding,clusterrole --selector=$(OURS)
	@echo "Left as they are: Pods with their members, and the ConfigMaps and Services of their groups, which go with"
	@echo "their workloads; the annotations, which mean nothing now: new Pods get no member."

e2e: .venv/.dev ## Test on the cluster that KUBECONFIG names, which has the images
	$(BIN)/pytest tests/e2e -m "e2e and not faults" $(ARGS)

test-faults: .venv/.dev ## As e2e: gigabytes, a deaf application, no DNS and other faults that take minutes
	$(BIN)/pytest tests/e2e -m "e2e and faults" $(ARGS)

COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
# Everything is resolved together, from the versions that are pinned now; each lock takes its part of that.
LOCK = $(COMPILE) --constraint build/resolved.lock
lock: .venv/.dev ## Renew the pinned dependencies (ARGS=--upgrade for newer ones)
	@mkdir -p build && cat requirements/*.lock demo-app/requirements.lock >build/resolved.lock
	$(COMPILE) $(ARGS) pyproject.toml --all-extras --group build --group dev --group fuzz --group sbom --group audit \
	  demo-app/requirements.in --output-file build/resolved.lock
	$(LOCK) pyproject.toml --all-extras --group build --group dev --output-file requirements/dev.lock
	$(LOCK) pyproject.toml --extra demo --group build --output-file requirements/demo.lock
	$(LOCK) pyproject.toml --extra cluster --output-file requirements/runtime.lock
	for group in build fuzz sbom audit; do $(LOCK) --group $$group --output-file requirements/$$group.lock || exit 1; done
	$(LOCK) demo-app/requirements.in --output-file demo-app/requirements.lock

clean: ## Remove what the targets made
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is not Python 3.11 or newer; name one with: make PYTHON=/path/to/python3 ..." >&2; exit 2; }
	@$(PYTHON) -m venv --clear .venv || \
	  { rm -rf .venv; echo "$(PYTHON) cannot make virtual environments; on Debian: apt install python3-venv" >&2; exit 2; }

.venv/.demo: requirements/demo.lock pyproject.toml | .venv/bin/pip
	@printf "Setting up .venv for the demonstration (once, about half a minute) "
	$(call FETCH,requirements/demo.lock)
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.dev: requirements/dev.lock pyproject.toml | .venv/bin/pip
	@printf "Setting up .venv for development (once, about half a minute) "
	$(call FETCH,requirements/dev.lock)
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch .venv/.demo $@

.venv/.fuzz: requirements/fuzz.lock | .venv/.dev
	@$(PIP) --require-hashes --requirement requirements/fuzz.lock
	@touch $@

build/tools/%: requirements/%.lock | .venv/bin/pip
	@$(BIN)/python -m venv --clear $@
	@$@/bin/pip --disable-pip-version-check install --quiet --require-hashes --requirement $< || { rm -rf $@; exit 1; }
	@touch $@
