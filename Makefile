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

FUNCTIONS := authorize connect disconnect default publish send subscribe
VENV := .local/venv
WITH_NODE := PATH="$(CURDIR)/$(VENV)/bin:$$PATH"
PEERS := .local/bench
LOGS := target/test-logs
MODULES := $(wildcard modules/*)
CLIENT := examples/chat
STACKS := terraform $(patsubst %/main.tf,%,$(wildcard examples/*/main.tf))

TF_INIT := init -input=false $(if $(TF_PLUGIN_DIR),-plugin-dir=$(TF_PLUGIN_DIR))
DEPLOY := $(TERRAFORM) -chdir=terraform
VARIABLES := -var-file=$(STAGE).tfvars
APPROVE := $(if $(AUTO_APPROVE),-auto-approve)

.PHONY: help
help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

# --- on this machine ---------------------------------------------------------------------------------

.PHONY: dev
dev: venv ## Run the backend and its chat page on this machine until Ctrl-C. PORT=… picks the port.
	@cargo build --bins # not quiet: the first time it takes minutes
	@cargo run --quiet --bin local-cloud -- $(if $(PORT),--port '$(PORT)')

.PHONY: venv
venv: $(VENV)/.dev

$(VENV)/.%: requirements/%.txt | prerequisites
	@echo "Installing $< into $(VENV)"
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV) \
		|| { echo "error: $(PYTHON) cannot make a virtual environment. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

.PHONY: prerequisites
prerequisites:
	@mkdir -p .local $(TF_PLUGIN_CACHE_DIR) # Terraform does not make its cache itself.
	@scripts/prerequisites

# --- tests -------------------------------------------------------------------------------------------

.PHONY: test
test: lint test-terraform test-client test-rust ## Check format, lints, documentation and Terraform; run every test; count them.
	@$(PYTHON) scripts/tally.py $(LOGS)/terraform-*.log $(LOGS)/client.log $(LOGS)/rust.log

.PHONY: lint
lint: prerequisites ## Check format, lints and documentation of the Rust code, and the format of the Terraform code.
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet --document-private-items
	$(TERRAFORM) fmt -check -recursive -diff

.PHONY: scan
scan: .local/scan/.done | $(LOGS) ## Scan the Terraform code for what is unsafe (checkov; what it skips and why is in .checkov.yaml).
	.local/scan/bin/checkov --directory . --config-file .checkov.yaml | tee $(LOGS)/scan.log
	@! grep 'Parsing errors' $(LOGS)/scan.log # What cannot be read was not scanned.

.local/scan/.done: requirements/scan.txt | prerequisites
	@echo "Installing $< into .local/scan"
	@$(PYTHON) -m venv .local/scan
	@.local/scan/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

.PHONY: test-rust
test-rust: venv client-tools | $(LOGS) ## Run the unit, integration and end-to-end tests, those in a browser where there is one.
	cargo test --workspace 2>&1 | tee $(LOGS)/rust.log

.PHONY: test-client
test-client: client-tools | $(LOGS) ## Check the types of the web client, and run its tests.
	cd $(CLIENT) && $(WITH_NODE) npm run --silent check
	cd $(CLIENT) && $(WITH_NODE) npm run --silent test 2>&1 | tee $(CURDIR)/$(LOGS)/client.log

.PHONY: client-tools
client-tools: $(CLIENT)/node_modules/.done

$(CLIENT)/node_modules/.done: $(CLIENT)/package-lock.json $(VENV)/.client
	@echo "Installing $< into $(@D)"
	@cd $(CLIENT) && $(WITH_NODE) npm ci --loglevel=error --no-audit --no-fund
	@touch $@

.PHONY: test-terraform
test-terraform: prerequisites | $(LOGS) ## Validate every module and stack, and run the modules' tests.
	@rm -f $(LOGS)/terraform-*.log
	@for folder in $(MODULES) $(STACKS); do \
		echo "terraform: $$folder"; \
		export TF_DATA_DIR="$(CURDIR)/.local/validate/$$folder"; mkdir -p "$$TF_DATA_DIR"; \
		$(TERRAFORM) -chdir=$$folder $(TF_INIT) -backend=false >"$$TF_DATA_DIR/init.log" || { cat "$$TF_DATA_DIR/init.log"; exit 1; }; \
		$(TERRAFORM) -chdir=$$folder validate || exit 1; \
		if ls $$folder/tests/*.tftest.hcl >/dev/null 2>&1; then \
			$(TERRAFORM) -chdir=$$folder test -no-color 2>&1 | tee $(LOGS)/terraform-$$(basename $$folder).log || exit 1; \
		fi; \
	done

$(LOGS):
	@mkdir -p $@

# --- packages ----------------------------------------------------------------------------------------

.PHONY: build
build: $(VENV)/.build ## Build each function's arm64 package, target/lambda/NAME/bootstrap.zip, and print its size.
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" cargo lambda build --release --arm64 --output-format zip $(FUNCTIONS:%=--bin %)
	@for name in $(FUNCTIONS); do \
		printf '%9d bytes  %s\n' "$$(wc -c < target/lambda/$$name/bootstrap.zip)" "target/lambda/$$name/bootstrap.zip"; \
	done

.PHONY: check-packages
check-packages: | $(LOGS) ## Prove that each package is small, for arm64, and boots (under qemu where this machine is not arm64).
	cargo test --workspace --test packages 2>&1 | tee $(LOGS)/packages.log

# --- the benchmark -----------------------------------------------------------------------------------

.PHONY: bench
bench: $(PEERS)/.done ## Measure the functions against their peers, in REPEAT=5 rounds, and write bench/RESULTS.md.
	cargo build --release --bin connect --bin send --bin floor-hello --bin floor-posts --bin bench
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

# --- an AWS account ----------------------------------------------------------------------------------

.PHONY: deploy
deploy: build init ## Build, plan and apply to your AWS account. STAGE=dev|prod, AUTO_APPROVE=1.
	$(DEPLOY) plan -input=false $(VARIABLES) -out=$(STAGE).tfplan
	@test -n "$(AUTO_APPROVE)" || { read -r -p "Apply this plan to stage $(STAGE)? [y/N] " answer && [ "$$answer" = y ]; }
	$(DEPLOY) apply -input=false $(STAGE).tfplan

.PHONY: destroy
destroy: init ## Remove the stage from your AWS account. STAGE=dev|prod, AUTO_APPROVE=1.
	$(DEPLOY) destroy $(VARIABLES) $(APPROVE)

# Each stage has a state of its own: a workspace.
.PHONY: init
init: prerequisites
	@test -f terraform/$(STAGE).tfvars || { echo "error: there is no terraform/$(STAGE).tfvars. Write one, or choose STAGE from: $(patsubst terraform/%.tfvars,%,$(wildcard terraform/*.tfvars))" >&2; exit 1; }
	$(DEPLOY) $(TF_INIT)
	$(DEPLOY) workspace select -or-create $(STAGE)

.PHONY: clean
clean: ## Remove what was built and downloaded here. Stop `make dev` first.
	rm -rf target .local $(CLIENT)/node_modules
