# Two commands are enough to begin: `make serve` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCKS := requirements
BROWSER_TESTS := tests/browser
APART := $(VENV)-bandit $(VENV)-deriv-client $(VENV)-sbom
PIP := $(BIN)/python -m pip --disable-pip-version-check -q install --require-hashes
COMPILE := uv pip compile -q --universal --generate-hashes --no-header --fork-strategy fewest --python-version 3.11
SHORT := -m "not slow and not lengthy"
UNIT_TESTS := tests/exchange tests/gateway tests/runtime tests/store tests/test_layers.py tests/test_words.py
ON_POSTGRESQL := SCOPEGATE_TEST_STORE=postgresql $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder
SHORT_ON_POSTGRESQL := tests/exchange/test_payments_machine.py tests/scenarios/test_consent.py tests/scenarios/test_races.py \
  tests/scenarios/test_restart.py tests/scenarios/test_tokens.py tests/process/test_kill.py tests/process/test_kill_payments.py \
  tests/process/test_two_writers.py
# Neither pages nor frames, proxies, clients and the bots of the examples depend on the database.
NOT_ON_POSTGRESQL := tests/browser tests/conformance tests/deploy tests/client tests/clients tests/test_example_bots.py
PRODUCT := client exchange gateway handlers runtime schemas scopegate store
SOURCES := $(PRODUCT) tests examples bench docs .ci

# Hundreds of processes start in the tests: they find modules compiled, whatever the shell says.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup serve cluster quick test test-postgresql coverage oldest proofs check format docs fairness simulate bench sbom lock clean

help:
	@echo "make serve    start the gateway (first makes $(VENV))"
	@echo "make cluster  start PostgreSQL, three gateways and HAProxy, in the folder cluster"
	@echo "make test     run the tests that a change needs at once, in less than five minutes"
	@echo "make test ALL=1  run the whole suite: all tests but proofs, in their short form"
	@echo "make test-postgresql  those of them that use a database, on a PostgreSQL server; ALL=1 as above"
	@echo "make quick    the unit tests alone, in a minute"
	@echo "make coverage the same suite, and which branches it takes"
	@echo "make oldest   the unit tests with the oldest versions of what is needed"
	@echo "make proofs   all tests in their long form, and the proofs that the suite leaves out"
	@echo "make setup    make $(VENV) with the command scopegate"
	@echo "make check    check format, lint, security rules, types, layers, words, licences, generated files"
	@echo "make format   format the code"
	@echo "make docs     generate the documentation"
	@echo "make fairness buy and settle many thousands of contracts, and write what they cost"
	@echo "make simulate run the gateway with simulated clients, faults and time; HOURS=10, SEED=..."
	@echo "make bench    measure, beside other servers, and print each bar as held or missed"
	@echo "make sbom     write sbom.cdx.json, the software bill of materials (CycloneDX)"
	@echo "make lock     resolve the dependencies again (needs uv and npm)"
	@echo "make clean    remove everything that was made"

$(VENV)/made: $(LOCKS)/run.txt $(LOCKS)/build.txt pyproject.toml .ci/link_packages.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one with PYTHON=...")'
	@echo "Making $(VENV); this takes about half a minute."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) -r $(LOCKS)/run.txt -r $(LOCKS)/build.txt
	@$(BIN)/python -m pip --disable-pip-version-check -q install --no-deps --no-build-isolation --no-index -e .
	@touch $@

$(VENV)/made-for-tests: $(VENV)/made $(LOCKS)/dev.txt
	@echo "Installing what the tests need."
	@$(PIP) -r $(LOCKS)/dev.txt
	@touch $@

# The oldest versions that pyproject.toml allows, of what the gateway itself needs.
$(VENV)-oldest/made: $(LOCKS)/oldest.txt $(LOCKS)/build.txt pyproject.toml .ci/link_packages.py
	@echo "Making $(VENV)-oldest, with the oldest versions that are allowed."
	@test -x $(VENV)-oldest/bin/python || $(PYTHON) -m venv $(VENV)-oldest
	@$(VENV)-oldest/bin/python -m pip --disable-pip-version-check -q install --require-hashes -r $(LOCKS)/oldest.txt
	@$(VENV)-oldest/bin/python -m pip --disable-pip-version-check -q install --require-hashes -r $(LOCKS)/build.txt
	@$(VENV)-oldest/bin/python -m pip --disable-pip-version-check -q install --no-deps --no-build-isolation --no-index -e .
	@touch $@

$(VENV)/made-for-postgresql: $(VENV)/made $(LOCKS)/postgresql.txt
	@$(PIP) -r $(LOCKS)/postgresql.txt
	@touch $@

$(VENV)/made-for-bench: $(VENV)/made $(LOCKS)/bench.txt
	@$(PIP) -r $(LOCKS)/bench.txt
	@touch $@

# Apart from the gateway: the published client needs old packages, and bandit brings rich, which structlog imports
# in every process if it is there.
$(APART:%=%/made): $(VENV)-%/made: $(LOCKS)/%.txt
	@echo "Making $(VENV)-$*."
	@test -x $(VENV)-$*/bin/python || $(PYTHON) -m venv $(VENV)-$*
	@$(VENV)-$*/bin/python -m pip --disable-pip-version-check -q install --require-hashes -r $(LOCKS)/$*.txt
	@touch $@

sbom.cdx.json: $(VENV)-sbom/made $(LOCKS)/run.txt pyproject.toml
	@PYTHONWARNINGS=ignore $(VENV)-sbom/bin/cyclonedx-py requirements $(LOCKS)/run.txt --pyproject pyproject.toml --output-reproducible -o $@
	@echo "Wrote $@."

# What is installed from npm runs nothing at its installation. Without npm its tests are skipped.
$(BROWSER_TESTS)/node_modules/made: $(BROWSER_TESTS)/package-lock.json
	@if command -v npm >/dev/null; then \
	  echo "Installing what the tests take from npm."; \
	  cd $(BROWSER_TESTS) && npm ci --loglevel=error --ignore-scripts >/dev/null && touch node_modules/made; \
	else echo "npm is missing: the tests that need it will be skipped."; fi

setup: $(VENV)/made

serve: setup
	@$(BIN)/scopegate serve

cluster: $(VENV)/made-for-postgresql
	@$(BIN)/python examples/cluster/cluster.py

# Browsers and processes are waited for, so two cores have more workers.
test: $(VENV)/made-for-tests $(VENV)-deriv-client/made $(BROWSER_TESTS)/node_modules/made
	$(BIN)/python -m pytest $(if $(ALL),-n 3,-n 4 $(SHORT)) $(if $(COVERAGE),--cov --cov-report=term) --dist loadfile --no-loadscope-reorder
	@$(if $(and $(ALL),$(SHORT_ON_POSTGRESQL)),if $(BIN)/python -m tests.postgresql; then \
	  $(ON_POSTGRESQL) $(SHORT_ON_POSTGRESQL); \
	else echo "The scenarios on PostgreSQL are skipped."; fi)

# tests/conftest.py leaves out tests that use no database, too.
test-postgresql: $(VENV)/made-for-tests $(VENV)-deriv-client/made $(BROWSER_TESTS)/node_modules/made
	$(BIN)/python -m tests.postgresql
	$(ON_POSTGRESQL) $(if $(ALL),,$(SHORT)) $(NOT_ON_POSTGRESQL:%=--ignore=%)

coverage:
	@$(MAKE) --no-print-directory test ALL=1 COVERAGE=1

quick: $(VENV)/made-for-tests
	$(BIN)/python -m pytest -q -n 2 --dist loadfile $(SHORT) --hypothesis-profile=quick $(UNIT_TESTS)

oldest: $(VENV)-oldest/made
	$(VENV)-oldest/bin/python -m pytest -q -p no:anyio -n 2 --dist loadfile -m "not slow" --hypothesis-profile=quick $(UNIT_TESTS)

proofs: $(VENV)/made-for-tests $(VENV)-deriv-client/made $(BROWSER_TESTS)/node_modules/made
	SCOPEGATE_PROOFS=long $(BIN)/python -m pytest -n 2 --dist loadfile -o asyncio_debug=true

check: $(VENV)/made-for-tests $(VENV)-bandit/made sbom.cdx.json
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(VENV)-bandit/bin/bandit -q -c pyproject.toml -r $(PRODUCT)
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_layers.py tests/test_words.py tests/test_licences.py tests/test_security_page.py \
		tests/test_log_page.py tests/gateway/test_close_codes.py
	$(BIN)/python -m docs.generate --check

format: $(VENV)/made-for-tests
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

docs: $(VENV)/made-for-postgresql
	$(BIN)/python -m docs.generate

fairness: setup
	$(BIN)/python -m docs.fairness

simulate: $(VENV)/made-for-tests
	@$(BIN)/python -m tests.simulation --hours $(or $(HOURS),1) --seed $(or $(SEED),1)

bench: $(VENV)/made-for-bench
	@$(BIN)/python bench $(if $(JSON),--json $(JSON))

sbom: sbom.cdx.json

lock:
	$(COMPILE) pyproject.toml -o $(LOCKS)/run.txt
	$(COMPILE) $(LOCKS)/build.in -c $(LOCKS)/run.txt -o $(LOCKS)/build.txt
	$(COMPILE) pyproject.toml --extra postgresql -c $(LOCKS)/run.txt -o $(LOCKS)/postgresql.txt
	$(COMPILE) --group dev -c $(LOCKS)/run.txt -o $(LOCKS)/dev.txt
	$(COMPILE) --resolution lowest-direct pyproject.toml --extra postgresql -o $(VENV)/lowest.txt
	$(COMPILE) pyproject.toml --group test -c $(VENV)/lowest.txt -o $(LOCKS)/oldest.txt
	$(COMPILE) --group bench -c $(LOCKS)/run.txt -o $(LOCKS)/bench.txt
	$(COMPILE) $(LOCKS)/deriv-client.in -o $(LOCKS)/deriv-client.txt
	$(COMPILE) $(LOCKS)/bandit.in -o $(LOCKS)/bandit.txt
	$(COMPILE) $(LOCKS)/sbom.in -o $(LOCKS)/sbom.txt
	cd $(BROWSER_TESTS) && npm install --package-lock-only

clean:
	rm -rf $(VENV) $(APART) $(VENV)-oldest sbom.cdx.json $(BROWSER_TESTS)/node_modules build dist
