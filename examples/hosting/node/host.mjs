// node host.mjs lemon_session.wasm defaults.json: a server in Node that counts its visitors' visits.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';

import { transpileBytes } from '@bytecodealliance/jco-transpile';
import { clocks, random } from '@bytecodealliance/preview2-shim';

import { Memory } from './memory.mjs';

const STATUS = {
    'invalid-name': 500, 'invalid-value': 500, 'invalid-option': 500, reserved: 500, denied: 403, conflict: 409, gone: 409,
    'too-large': 413, 'too-many': 429, unreadable: 500, storage: 503,
};

/** A record in JSON as jco takes it: names in camel case. */
const record = (value) =>
    value?.constructor === Object
        ? Object.fromEntries(Object.entries(value).map(([name, inner]) => [name.replace(/-(.)/g, (_, c) => c.toUpperCase()), record(inner)]))
        : value;

/** What a store throws is a failure: an exception of another kind would end the instance. */
function guarded(store) {
    const guard = (call) => (...args) => {
        try {
            return call(...args);
        } catch (error) {
            throw error?.tag ? error : { tag: 'unavailable', val: String(error) };
        }
    };
    return Object.fromEntries(Object.entries(store).map(([name, call]) => [name, guard(call)]));
}

const [component, defaults] = process.argv.slice(2);
const settings = record(JSON.parse(await readFile(defaults, 'utf8')));
const { files } = await transpileBytes(await readFile(component), { name: 'session', instantiation: 'sync' });
// A TextDecoder takes U+FEFF at the beginning of a text away unless it is told not to.
const script = Buffer.from(files['session.js']).toString().replaceAll('new TextDecoder()', "new TextDecoder('utf-8', { ignoreBOM: true })");
const { instantiate } = await import(`data:text/javascript,${encodeURIComponent(script)}`);
const cores = Object.fromEntries(Object.keys(files).filter((path) => path.endsWith('.wasm')).map((path) => [path, new WebAssembly.Module(files[path])]));

let requests = 0n;
const imports = {
    'lemon:session/types': {},
    'lemon:session/storage': guarded(new Memory()),
    'lemon:session/settings': {
        getDefaults: () => settings,
        getCaller: () => ({ request: requests, manager: 'owners' }),
        getClient: () => ({}),
        notify: (notice) => console.error(notice),
    },
    'wasi:clocks/wall-clock': clocks.wallClock,
    'wasi:random/random': random.random,
};
const create = () => instantiate((path) => cores[path], imports);
let instance = create();

/** Counts a visit. Nothing here waits, so that the instance has one call at a time. */
function visit(cookies) {
    requests += 1n;
    const session = instance.sessions.start({ app: 'visits', cookies: cookies.map((cookie) => Buffer.from(cookie)), https: false, location: {} });
    try {
        const visits = session.add('visits', 1n);
        return [visits, session.save()];
    } finally {
        session[Symbol.dispose]();
    }
}

// Impossible settings are found here, and not by the first visitor.
instance.sessions.start({ cookies: [], https: false, location: {} })[Symbol.dispose]();

const server = createServer((request, response) => {
    try {
        const [visits, headers] = visit(request.headers.cookie ? [request.headers.cookie] : []);
        for (const [name, value] of headers) response.appendHeader(name, value);
        response.end(`This is your visit no. ${visits}\n`);
    } catch (error) {
        const status = STATUS[error.payload?.tag] ?? 500;
        if (!error.payload) instance = create();
        console.error(error.payload ?? error);
        response.writeHead(status).end(`${error.payload?.tag ?? 'error'}\n`);
    }
});
server.listen(Number(process.env.PORT ?? 8080), '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));
