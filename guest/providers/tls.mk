# The provider redis with TLS, a file of its own: dist/redis_tls.wasm. ring, which does the cryptography, is in part C. zig
# compiles that for WebAssembly, and is installed once into target/zig, at the version pinned in guest/providers/requirements.txt.

ZIG = $(CURDIR)/target/zig

# zig knows no wasm32-wasip2; of several targets, it takes the last one. What ring takes of C is the same for both.
dist/redis_tls.wasm: $(ZIG)/bin/zig target
	mkdir -p dist
	ZIG_GLOBAL_CACHE_DIR=$(ZIG)/cache CC_wasm32_wasip2="$(ZIG)/bin/zig cc" AR_wasm32_wasip2="$(ZIG)/bin/zig ar" \
	    CFLAGS_wasm32_wasip2="-target wasm32-wasi" $(CARGO) build --quiet --locked --profile component $(WASM) \
	    -p lemon-session-provider-redis --features tls --target-dir target/tls
	cp target/tls/wasm32-wasip2/component/lemon_session_provider_redis.wasm $@

# A link to the program itself: what pip installs in bin is a script in Python.
$(ZIG)/bin/zig: guest/providers/requirements.txt
	$(PYTHON) -m venv $(ZIG)
	$(ZIG)/bin/pip install --quiet --disable-pip-version-check -r $<
	ln -sf $(ZIG)/lib/python3*/site-packages/ziglang/zig $@ && touch $@
