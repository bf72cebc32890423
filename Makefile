# `make` prints what there is. Versions are pinned in hack/versions.env and hack/tools/go.mod; what is downloaded or built
# goes to ~/.cache/warrener, or to the folder that WARRENER_STATE names.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

include hack/versions.env
IMG ?= ghcr.io/warrener-dev/warrener-controller:latest
KUBECTL ?= kubectl
PACKAGES ?= ./...

##@ Try it
.PHONY: demo demo-down example kind-demo
demo: ## Start everything on this machine, apply config/samples, prove it with messages. KEEP=1 leaves it running
	@hack/demo.sh up
demo-down: ## End what `make demo KEEP=1` left running
	@hack/demo.sh down
example: ## Run the Node services of examples/nodejs against the demo: retries, dead letters, replay, and a verdict
	@hack/example.sh
kind-demo: ## The demo in a kind cluster, for machines with Docker
	@hack/kind-demo.sh up

##@ Check it
.PHONY: test test-long test-env-up test-env-down bench timelines lint lint-rules verify
test: ## Every test, with real brokers: about 18 minutes on 2 cores. KEEP=1, PACKAGES=./internal/plan, TESTFLAGS='-run Name'
	@hack/with-testenv.sh hack/test.sh $(PACKAGES)
test-long: ## The same with the full soak versions
	@WARRENER_LONG=1 hack/with-testenv.sh hack/test.sh $(PACKAGES)
test-env-up: ## Start the brokers that tests use, and leave them running: tests begin sooner
	@hack/testenv.sh up
	@hack/testenv.sh env
test-env-down: ## End them
	@hack/testenv.sh stop
bench: ## Measure, and write docs/benchmarks.md. BENCH=Create/2100 for one, PROFILE=<folder>, SCALE=0.1 for a look
	@WARRENER_BENCH_OUT="$(if $(SCALE),,$(CURDIR)/docs/benchmarks.json)" WARRENER_BENCH_SCALE="$(SCALE)" WARRENER_BENCH_PROFILE="$(abspath $(PROFILE))" \
	  WARRENER_REQUIRE_PARTS=1 WARRENER_TEST_KUBERNETES=$(KUBERNETES_VERSION) \
	  hack/with-testenv.sh go test ./test/scale -run '^$$' -bench '$(or $(BENCH),.)' -benchtime 1x -timeout 3h -v
	@$(if $(SCALE),,go run ./hack/benchpage docs/benchmarks.json docs/benchmarks.md)
timelines: ## Measure the retry timelines, and draw them into docs/
	@WARRENER_TIMELINE_OUT=$(CURDIR)/docs/retry-timelines.json WARRENER_REQUIRE_PARTS=1 \
	  hack/with-testenv.sh go test ./test/e2e -run '^TestRetryTimeline$$' -count 1
	@go run ./hack/timelines docs/retry-timelines.json docs/retry-timelines.svg
lint: lint-rules ## golangci-lint with .golangci.yml
	@"$$(hack/tools.sh golangci-lint)" run --allow-parallel-runners --timeout 20m
lint-rules: ## Are the import rules of the linter alive? Each must refuse a forbidden import
	@hack/lint-rules.sh
verify: ## Generated files, modules, scripts and manifests are right; CRDs install on the oldest supported Kubernetes
	@hack/verify.sh

##@ Build it
.PHONY: generate manifests build docker-build
generate: manifests ## Deep copies, CRDs, RBAC and the tables in docs/kinds, after a change of the API or of RBAC markers
	@"$$(hack/tools.sh controller-gen)" object:headerFile=hack/boilerplate.go.txt paths=./api/...
	@go run ./hack/gendocs
manifests: ## Only CRDs and RBAC
	@"$$(hack/tools.sh controller-gen)" crd paths=./api/... output:crd:dir=config/crd/bases
	@"$$(hack/tools.sh controller-gen)" rbac:roleName=warrener-controller paths=./controllers/... output:rbac:dir=config/rbac
build: ## The controller and the command line, into bin/; there as kubectl-warrener, too
	@go build -trimpath -o bin/ ./cmd/warrener-controller ./cmd/warrener
	@ln -sf warrener bin/kubectl-warrener
docker-build: ## The controller's image, IMG=<name>
	docker build -t $(IMG) .

##@ Install it (into the cluster of your KUBECONFIG)
.PHONY: install uninstall deploy undeploy
install: ## The CRDs
	$(KUBECTL) apply --server-side -k config/crd
uninstall: ## Take the CRDs away, and with them all custom resources; after undeploy, so that the brokers keep what they have
	@! $(KUBECTL) -n warrener-system get deployment/warrener-controller >/dev/null 2>&1 || \
	  { echo "The controller is running and would delete from the brokers what the custom resources declare: make undeploy first." >&2; exit 1; }
	$(KUBECTL) delete --ignore-not-found -k config/crd
deploy: ## CRDs, rights and the controller, IMG=<name>
	@hack/deploy.sh "$(KUBECTL)" "$(IMG)"
undeploy: ## Take the controller and its rights away; CRDs, custom resources and inventory stay
	$(KUBECTL) -n warrener-system delete --ignore-not-found deployment/warrener-controller service/warrener-controller-metrics
	$(KUBECTL) delete --ignore-not-found clusterrolebinding/warrener-controller clusterrole/warrener-controller

.PHONY: help
help: ## This
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
