# The only door for people. `make` alone says what is behind it.
.DEFAULT_GOAL := help
.PHONY: help setup security-tools demo picture up down test check client portal synth simulate campaign kill twice fuzz security sbom audit bench deploy lock clean
.SILENT:
MAKEFLAGS += --no-print-directory

# This checkout's own Python, Node and CDK come first: cdk.json and jsii find `python3` and `node` by name.
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/node_modules/.bin:$(PATH)
export CDK_DISABLE_CLI_TELEMETRY := true

CDK := cdk --no-notices --no-version-reporting
UV := .venv/uv/bin/uv
LOCKS := functions/requirements requirements local/ministack-requirements local/audit-requirements local/checkov-requirements bench/requirements

help: ## this list
	awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# A name on PATH can be a shim that does not run, so each candidate is tried.
setup: ## install everything this checkout needs, inside it; every other target does it first
	for python in python3.13 python3 python3.12 python3.11; do \
		if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			exec $$python local/setup.py; \
		fi; \
	done; \
	echo 'set-up: no working Python from 3.11 on was found. Install Python 3.13 (python3.13 on PATH), then run make again.' >&2; \
	exit 1

security-tools: setup
	python local/setup.py --security

demo: setup ## show the whole product on this machine, with no account [STAY=1]
	python -m local.demo $(if $(STAY),--stay)

picture: setup ## run the demo, and keep what it shows in docs/demo.svg
	python -m local.demo --picture

up: setup ## start the local stack [PORT=n] [HUBSPOT_BASE_URL=url] [SCHEDULE='rate(1 minute)']
	python -m local.stack up $(if $(PORT),--port '$(PORT)') $(if $(HUBSPOT_BASE_URL),--hubspot-base-url '$(HUBSPOT_BASE_URL)') \
		$(if $(SCHEDULE),--schedule '$(SCHEDULE)')

down: setup ## stop all of the local stack
	python -m local.stack down

client: setup ## make a caller's key NAME=… [PORTALS=a,b] [OBJECT_TYPES=…] [EXPIRES=…] [REPLAY=1] [RATE=…] [PRINCIPALS=arn,…] [ROTATE=1|RETIRE=1|REMOVE=1] [STACK=…]
	test -n '$(NAME)' || { echo 'client: say whose key it is: make client NAME=crm' >&2; exit 1; }
	PYTHONPATH=functions python -m local.client '$(NAME)' $(if $(PORTALS),--portals '$(PORTALS)') \
		$(if $(OBJECT_TYPES),--object-types '$(OBJECT_TYPES)') $(if $(EXPIRES),--expires '$(EXPIRES)') \
		$(if $(REPLAY),--replay) $(if $(RATE),--rate '$(RATE)') $(if $(PRINCIPALS),--principals '$(PRINCIPALS)') \
		$(if $(ROTATE),--rotate) $(if $(RETIRE),--retire) $(if $(REMOVE),--remove) \
		$(if $(STACK),--stack '$(STACK)')

portal: setup ## add a portal, give it another token, or end it NAME=… [TOKEN=file] [END=1] [STACK=…]
	test -n '$(NAME)' || { echo 'portal: say which: make portal NAME=acme TOKEN=file' >&2; exit 1; }
	PYTHONPATH=functions python -m local.portal '$(NAME)' $(if $(TOKEN),--token '$(TOKEN)') $(if $(END),--end) $(if $(STACK),--stack '$(STACK)')

# In three workers on two cores, as the one with the deployed stack mostly waits. Its tests come first: they take longest.
test: setup ## check, then every test
	$(MAKE) --jobs 2 check security-tools # side by side, as each keeps one core busy
	python -m pytest --numprocesses 3 --dist loadscope --no-loadscope-reorder

check: setup ## lint, format, types and who imports whom
	ruff check .
	ruff format --check .
	mypy
	PYTHONPATH=functions lint-imports --no-logo --no-cache

synth: setup ## the CloudFormation template, into cdk.out
	$(CDK) synth --quiet --output cdk.out

simulate: setup ## break the service in one process and virtual time [N=requests] [SEED=n]
	PYTHONPATH=functions python -m tests.simulation $(if $(N),--requests '$(N)') $(if $(SEED),--seed '$(SEED)')

campaign: setup ## break the deployed local stack, with real processes [N=requests] [SEED=n]
	PYTHONPATH=functions python -m tests.faults.campaign $(if $(N),--requests '$(N)') $(if $(SEED),--seed '$(SEED)')

kill: setup ## kill a worker at each named point and look at its successor [N=of each] [SEED=n]
	PYTHONPATH=functions python -m tests.faults.kill $(if $(N),--of-each '$(N)') $(if $(SEED),--seed '$(SEED)')

twice: setup ## deliver messages to two workers at once [N=messages] [SEED=n]
	PYTHONPATH=functions python -m tests.faults.twice $(if $(N),--messages '$(N)') $(if $(SEED),--seed '$(SEED)')

fuzz: setup ## let hostile input in at every door [N=inputs] [SEED=n]
	PYTHONPATH=functions python -m tests.fuzz $(if $(N),--inputs '$(N)') $(if $(SEED),--seed '$(SEED)')

security: security-tools ## check the stack by cdk-nag and checkov, and list every finding that is lived with, and why
	PYTHONPATH=functions python -m local.security

sbom: security-tools ## list what is deployed as CycloneDX, with versions, licences and hashes, into sbom.cdx.json
	.venv/audit/bin/python -m local.sbom

# Without --strict a package that could not be looked up would pass. One lock at a time: they differ in versions.
audit: security-tools ## look every locked package up in the databases of known vulnerabilities, on the internet
	passed=1; \
	for name in $(LOCKS); do \
		echo "audit: $$name.txt"; \
		.venv/audit/bin/pip-audit --strict --require-hashes --disable-pip --progress-spinner off --requirement $$name.txt || passed=; \
	done; \
	echo 'audit: package-lock.json'; \
	npm audit && npm audit signatures || passed=; \
	test "$$passed" || { \
		echo 'audit: not passed. A package has a known vulnerability, or could not be looked up: see above.' >&2; \
		exit 1; }

bench: setup ## measure everything side by side, into bench/report.md [ONLY=cold,calls] [QUICK=1] [BASE=commit]
	PYTHONPATH=functions python -m bench $(if $(ONLY),--only '$(ONLY)') $(if $(QUICK),--quick) $(if $(BASE),--base '$(BASE)')

deploy: setup ## deploy to the AWS account and region of your environment
	$(CDK) deploy || { \
		echo 'deploy: an account and region that CDK has never used must be bootstrapped once:' >&2; \
		echo '  PATH="$(CURDIR)/.venv/bin:$$PATH" $(CURDIR)/node_modules/.bin/cdk bootstrap' >&2; \
		exit 1; }

# The extras stay in the lock: the pip of Python 3.11 looks for `coverage[toml]` elsewhere where it lists `coverage` alone.
lock: setup ## pin the newest versions that *.in and package.json allow
	test -x $(UV) || { python -m venv .venv/uv && .venv/uv/bin/pip install --quiet uv==0.13.9; }
	for name in $(LOCKS); do \
		$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
			--no-emit-find-links --no-strip-extras --custom-compile-command 'make lock' --output-file $$name.txt $$name.in || exit 1; \
	done
	npm install --package-lock-only --no-audit --no-fund

clean: ## stop the local stack and remove everything that make made
	test ! -e .local || $(MAKE) down
	rm -rf .venv node_modules cdk.out sbom.cdx.json .local .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
