# Builds the npm package in its folder, with the tools that package-lock.json pins.

NODE_PACKAGE = host/node
NODE_SOURCES = $(NODE_PACKAGE)/build.js sdk/js/lemon-session.js sdk/js/lemon-session.d.ts \
    host/embed/lemon_session.wasm host/command/providers/files.wasm host/command/providers/redis.wasm \
    $(wildcard host/sqlite/src/*.sql) host/sqlite/src/statements.rs host/sqlite/src/schema.rs

$(NODE_PACKAGE)/node_modules/installed: $(NODE_PACKAGE)/package.json $(NODE_PACKAGE)/package-lock.json
	cd $(NODE_PACKAGE) && $(NPM) ci --silent --no-audit --no-fund
	touch $@

$(NODE_PACKAGE)/dist/built: $(NODE_SOURCES) $(NODE_PACKAGE)/node_modules/installed
	cd $(NODE_PACKAGE) && $(NPM) run --silent build
	touch $@
