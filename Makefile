# make run    serves a page that explains sessions on http://127.0.0.1:8080, built quickly
# make build  leaves the command and the components in dist/
# make dist/redis_tls.wasm  builds the provider redis with TLS, for `lemon-session compose --provider`
# make languages  leaves the pages in Python, JavaScript, TypeScript and Go in dist/
# make wheel  leaves the package for servers in Python in dist/
# make dist   leaves a Debian package and a tarball of the command there as well
# make packages  leaves the command there as a wheel for PyPI and as packages for npm
# make setup  installs what the tests need, on Debian
# make test   runs all tests, but for those on hosts of other projects
# make test-hosts  runs those: sites on stock runtimes, and the packages for servers in Node and Python
# make jepsen runs clusters of PostgreSQL, Redis and MariaDB for SECONDS each (600), while their nodes fail
# make jepsen-peers  has PHP, express-session and tower-sessions go through one such schedule, TIMES times
# make check  is the inner loop: format, clippy, and the tests that need no server
# make component  builds the session components and the providers, which are files of this repository, anew
# make bench  measures, also against other session libraries, and writes benches/RESULTS.md
# make lint   checks format and style, the list of the public API, and that the crates can be packaged
# make api    updates docs/api.txt, the list of the public API of lemon-session-host
# make defaults  updates docs/defaults.json, the defaults of the settings as data
# make messages  updates docs/messages.md, wrong uses of the command and the message that each gets
# make go-bindings  generates the bindings of the package for Go anew
# make fuzz   fuzzes the parsers and codecs for SECONDS each (needs a nightly compiler and cargo-fuzz)
# make mutants changes the rules of sessions and the settings in many ways, one at a time, and shows what no test notices
# make deny   checks the licences of what is depended on, and advisories against it (needs cargo-deny)
# make clean  removes what was built

CARGO ?= cargo
ADDR ?= 127.0.0.1:8080
SECONDS ?= 30
TIMES ?= 1
EXAMPLES = -p welcome -p visits -p visits-cgi -p counter
# For WASI 0.3. They are built apart: cargo would give the crates that they share with the others the features of both.
FOR_WASI_0_3 = -p visits-async -p lemon-session-guard
COMPONENTS = $(EXAMPLES) -p auth-page -p auth-module -p counter-async -p counter-cgi -p rogue -p rogue-cgi -p rogue-store -p values -p page-wasm \
    -p lemon-session
WASM = --target wasm32-wasip2

.PHONY: run build dist packages wheel component languages setup test jepsen jepsen-peers test-hosts test-python check bench lint api defaults messages go-bindings fuzz mutants deny clean target

# Without the drivers of servers, and without the optimisations that take minutes: `make build` has both.
run: target
	$(CARGO) build --profile quick -p lemon-session-command --no-default-features
	$(CARGO) build --profile component $(WASM) -p welcome
	target/quick/lemon-session serve target/wasm32-wasip2/component/welcome.wasm --addr $(ADDR) --storage sqlite:sessions.db

build: target
	$(CARGO) build --release -p lemon-session-command
	$(CARGO) build --profile component $(WASM) $(EXAMPLES)
	$(CARGO) build --profile component $(WASM) $(FOR_WASI_0_3)
	mkdir -p dist
	cp target/release/lemon-session dist/
	cp $(addprefix target/wasm32-wasip2/component/,welcome.wasm visits.wasm visits-cgi.wasm counter.wasm) dist/
	cp $(addprefix target/wasm32-wasip2/component/,visits_async.wasm lemon_session_guard.wasm) dist/
	dist/lemon-session component -o dist/lemon_session.wasm
	dist/lemon-session component --provider files -o dist/lemon_session_files.wasm
	dist/lemon-session component --provider redis -o dist/lemon_session_redis.wasm
	dist/lemon-session component --provider postgres -o dist/lemon_session_postgres.wasm
	dist/lemon-session component --async -o dist/lemon_session_async.wasm
	$(CARGO) build --profile component $(WASM) -p lemon-session-conformance
	cp target/wasm32-wasip2/component/lemon_session_conformance.wasm dist/

dist: build
	packaging/package.sh target/release/lemon-session dist/welcome.wasm dist

packages: build
	packaging/packages.sh target/release/lemon-session dist

component: target
	guest/component/build.sh host/embed
	guest/providers/build.sh host/command/providers

languages: dist/visits-python.wasm dist/visits-js.wasm dist/visits-ts.wasm dist/visits-go.wasm

dist/%.wasm: target/languages/%.wasm
	mkdir -p dist
	cp $< $@

include guest/providers/tls.mk
include sdk/pages.mk
include tests/browser/tools.mk
include tests/runtimes/tools.mk
include examples/hosting/tools.mk
include host/python/wheel.mk
include host/node/node.mk

# What the tests need beside Rust and a C compiler.
setup: target
	tests/setup.sh

test: setup
	$(CARGO) test --workspace

# Longer than a run of all tests has.
jepsen: SECONDS = 600
jepsen: setup
	LEMON_TEST_JEPSEN=$(SECONDS) $(CARGO) test -p lemon-session-clusters -- --nocapture --test-threads=1

# PHP, express-session and tower-sessions on Redis with sentinels, beside ours: four minutes each time.
jepsen-peers: setup
	tests/clusters/peers/setup.sh
	LEMON_TEST_PEERS=$(TIMES) $(CARGO) test -p lemon-session-clusters peers -- --nocapture

test-hosts: setup
	$(CARGO) test --workspace --test node --test page_by_page --test runtimes
	$(MAKE) test-python

# The inner loop: no servers, no browser, no components to build.
check: target
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) test --workspace --lib
	$(CARGO) test --workspace --test conformance --test sqlite --test compose

bench: build
	$(CARGO) build --release -p lemon-session-benches
	$(CARGO) build --profile component $(WASM) -p counter-async
	$(MAKE) target/runtimes/bin/wasmtime
	benches/peers/setup.sh
	benches/run.py

lint: target
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy $(WASM) -p lemon-session-component -- -D warnings
	$(CARGO) clippy $(WASM) -p lemon-session-blocking -- -D warnings
	$(CARGO) clippy $(WASM) -p lemon-session-component --features async -- -D warnings
	$(CARGO) clippy $(WASM) -p lemon-session-conformance -p lemon-session-provider-files -p lemon-session-provider-redis \
	    -p lemon-session-provider-postgres -- -D warnings
	$(CARGO) clippy $(WASM) $(COMPONENTS) -- -D warnings
	$(CARGO) clippy $(WASM) $(FOR_WASI_0_3) -p echo -p service -p service-cgi -p service-sync -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --quiet
	$(CARGO) run --quiet -p lemon-session-api
	$(CARGO) publish --workspace --dry-run --no-verify --allow-dirty --quiet

api: target
	$(CARGO) run --quiet -p lemon-session-api -- --write

defaults:
	LEMON_SESSION_WRITE_DEFAULTS=1 $(CARGO) test --quiet -p lemon-session-rules --test defaults

messages: target
	LEMON_SESSION_WRITE_MESSAGES=1 $(CARGO) test --quiet --workspace --test messages

go-bindings:
	LEMON_SESSION_WRITE_BINDINGS=1 $(CARGO) test --quiet --workspace --test generators go

fuzz:
	cd guest/rules && for target in codec cookie json options; do \
		$(CARGO) +nightly fuzz run $$target -- -max_total_time=$(SECONDS) || exit 1; \
	done

# The settings and lemon.ini are in two crates, of which only the tests of these are run.
mutants:
	command -v cargo-mutants >/dev/null || $(CARGO) install --locked cargo-mutants
	mkdir -p target/mutants
	$(CARGO) mutants --package lemon-session-rules --cargo-arg=--lib --output target/mutants/rules
	$(CARGO) mutants --package lemon-session-host --package lemon-session-command --output target/mutants/settings \
	    --test-package lemon-session-host,lemon-session-command -- --lib --bins -- settings:: config:: lost_changes_are_logged

deny:
	$(CARGO) deny check

clean:
	$(CARGO) clean
	rm -rf dist

# Takes seconds, and does nothing where the target is there already.
target:
	rustup target add wasm32-wasip2
