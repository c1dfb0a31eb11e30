# python check.py lemon_session_conformance.wasm [--json]
import sys

from wasmtime import Engine, Store, WasiConfig
from wasmtime.component import Component, Linker, Variant

from memory import Memory, Record, add_storage

engine = Engine()
component = Component.from_file(engine, sys.argv[1])
linker = Linker(engine)
linker.add_wasip2()
add_storage(linker, Memory())


class Suite:
    """An instance. What a broken rule says of itself is in `found`."""

    def __init__(self):
        self.found = b''
        wasi = WasiConfig()
        wasi.stderr_custom = self.print
        self.store = Store(engine)
        self.store.set_wasi(wasi)
        self.instance = linker.instantiate(self.store, component)
        self.interface = self.instance.get_export_index(self.store, 'lemon:session-conformance/suite@0.1.0')

    def print(self, text):
        self.found += text

    def call(self, name, *arguments):
        index = self.instance.get_export_index(self.store, name, self.interface)
        return self.instance.get_func(self.store, index)(self.store, *arguments)


location = Record({'storage': None, 'table': None})
store = Record({'location': location, 'tables': 'emptied', 'expires-by-itself': False})
findings = []
suite = Suite()
for rule in suite.call('rules'):
    try:
        outcome = suite.call('check', rule, store)
    except Exception as trap:
        outcome = Variant('broken', suite.found.decode() or str(trap))
        suite = Suite()
    findings.append(Record({'rule': rule, 'outcome': outcome}))
print(suite.call('report', findings, 'json' if '--json' in sys.argv else 'text'))
sys.exit(any(finding.outcome.tag == 'broken' for finding in findings))
