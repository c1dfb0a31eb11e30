// node check.mjs lemon_session_conformance.wasm [--json]
import { readFile } from 'node:fs/promises';

import { transpileBytes } from '@bytecodealliance/jco-transpile';
import { WASIShim } from '@bytecodealliance/preview2-shim/instantiation';

import { Memory } from './memory.mjs';

const { files } = await transpileBytes(await readFile(process.argv[2]), { name: 'suite', instantiation: 'async' });
// A TextDecoder takes U+FEFF at the beginning of a text away unless it is told not to.
const script = Buffer.from(files['suite.js']).toString().replaceAll('new TextDecoder()', "new TextDecoder('utf-8', { ignoreBOM: true })");
const { instantiate } = await import(`data:text/javascript,${encodeURIComponent(script)}`);
const cores = {};
const core = async (path) => (cores[path] ??= await WebAssembly.compile(files[path]));

// What a broken rule says of itself on the standard error.
let found = '';
class Ready {
    block() {}
}
class Output {
    checkWrite = () => 4096n;
    write = (bytes) => void (found += Buffer.from(bytes));
    flush() {}
    subscribe = () => new Ready();
}
const wasi = new WASIShim().getImportObject();
wasi['wasi:io/poll'] = { ...wasi['wasi:io/poll'], Pollable: Ready };
wasi['wasi:io/streams'] = { ...wasi['wasi:io/streams'], OutputStream: Output };
wasi['wasi:cli/stderr'] = { getStderr: () => new Output() };

const imports = { ...wasi, 'lemon:session/types': {}, 'lemon:session/storage': new Memory() };
const store = { location: {}, tables: 'emptied', expiresByItself: false };
const findings = [];
let { suite } = await instantiate(core, imports);
for (const rule of suite.rules()) {
    found = '';
    try {
        findings.push({ rule, outcome: suite.check(rule, store) });
    } catch (trap) {
        findings.push({ rule, outcome: { tag: 'broken', val: found || String(trap) } });
        ({ suite } = await instantiate(core, imports));
    }
}
console.log(suite.report(findings, process.argv.includes('--json') ? 'json' : 'text'));
process.exit(findings.some(({ outcome }) => outcome.tag === 'broken') ? 1 : 0);
