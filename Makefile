# The pipeline in containers, and its tests, by short names. `make` lists them.
# Settings are in .env, which `make setup` makes of .env.example.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

-include .env
QUEUE_NAME ?= headwater-events
DLQ_NAME ?= headwater-events-dlq
READ_KEYS ?= local-read-key
LOCALSTACK_PORT ?= 4566

COMPOSE ?= docker compose
compose := $(COMPOSE) $(if $(wildcard .env),--env-file .env) -f localstack/compose.yaml
# Of every profile: what is not running is left alone.
all := $(compose) --profile full
sqs := $(all) exec -T localstack awslocal sqs
comma := ,

.PHONY: help
help: ## List these commands
	@sed -nE 's/^([a-z%-]+):.*## (.*)/  make \1|\2/p' Makefile | sed 's/%/SERVICE/' | column -t -s '|'

.PHONY: setup build up up-full down restart
setup: ## Make .env of .env.example
	@if [ -e .env ]; then echo ".env is there already"; else cp .env.example .env && echo "made .env"; fi
build: ## Build the images
	$(all) build
up: ## Start the services with a simulator (profile dev)
	$(compose) --profile dev up --detach --build --wait
up-full: ## Start all of it, with Prometheus and Grafana (profile full)
	$(all) up --detach --build --wait
down: ## Stop the services; data stay
	$(all) down
restart: ## Restart what runs
	$(all) restart

.PHONY: logs ps health-check
logs: ## Follow all logs
	$(all) logs --follow
logs-%: ## Follow the logs of a service, such as logs-ingest
	$(all) logs --follow $*
ps: ## List the containers
	$(all) ps
health-check: ## Ask each service whether it is well
	@failed=0; \
	for check in localstack=$(LOCALSTACK_PORT)/_localstack/health ingest=3000/health query=3002/health alerts=3003/health; do \
	  if curl --fail --silent --show-error --max-time 5 --output /dev/null "http://127.0.0.1:$${check#*=}"; \
	  then echo "$${check%%=*}: well"; else echo "$${check%%=*}: not well"; failed=1; fi; \
	done; exit $$failed

.PHONY: test test-integration
test: ## Run the Rust tests, on the embedded emulation
	cargo test --workspace --locked
test-integration: ## Run every test, also on LocalStack
	tests/all

.PHONY: queue-depth queue-peek db-shell
queue-depth: ## Count the messages that wait, and the dead letters
	@for name in $(QUEUE_NAME) $(DLQ_NAME); do \
	  url=$$($(sqs) get-queue-url --queue-name "$$name" --output text); \
	  echo "$$name: $$($(sqs) get-queue-attributes --queue-url "$$url" --attribute-names ApproximateNumberOfMessages \
	    --query Attributes.ApproximateNumberOfMessages --output text)"; \
	done
queue-peek: ## Show a dead letter, and leave it where it is
	@url=$$($(sqs) get-queue-url --queue-name $(DLQ_NAME) --output text); \
	$(sqs) receive-message --queue-url "$$url" --visibility-timeout 0 --message-attribute-names All
db-shell: ## Open psql on the lake
	PGPASSWORD=$(firstword $(subst $(comma), ,$(READ_KEYS))) psql -h 127.0.0.1 -p 5433 -U reader headwater

.PHONY: clean clean-volumes clean-all
clean: ## Remove the containers
	$(all) down --remove-orphans
clean-volumes: ## Remove the containers and their data
	$(all) down --remove-orphans --volumes
clean-all: ## Remove the containers, their data and the images built here
	$(all) down --remove-orphans --volumes --rmi local
