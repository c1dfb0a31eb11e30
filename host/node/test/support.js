import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';

/** A folder that is removed after the tests of a file. */
export function folder() {
    const path = mkdtempSync(join(tmpdir(), 'lemon-session-node-'));
    after(() => rmSync(path, { recursive: true, force: true }));
    return path;
}

const REDIS = process.env.LEMON_TEST_REDIS ?? 'redis://127.0.0.1:6379';

async function redisAnswers() {
    const { hostname, port } = new URL(REDIS);
    const socket = connect(Number(port || 6379), hostname);
    try {
        await once(socket, 'connect');
        return true;
    } catch {
        return false;
    } finally {
        socket.destroy();
    }
}

/** The stores to test, each with a function that returns the options of a new one. */
export const STORES = [
    ['sqlite', () => ({ url: `sqlite:${folder()}/sessions.db` })],
    ['files', () => ({ url: `files:${folder()}/sessions` })],
];
if (!process.env.NOREDIS && (await redisAnswers())) {
    let count = 0;
    STORES.push(['redis', () => ({ url: REDIS, table: `Node_${process.pid}_${Date.now()}_${(count += 1)}` })]);
} else {
    console.error(`no Redis answers at ${REDIS}: its tests are left out`);
}

/** Listens on a free port and closes everything after the tests of a file. */
export async function listen(server) {
    const listening = server.listen(0, '127.0.0.1');
    await once(listening, 'listening');
    after(() => {
        listening.closeAllConnections();
        listening.close();
    });
    return `http://127.0.0.1:${listening.address().port}`;
}

/** A browser: it keeps cookies. */
export class Visitor {
    cookies = new Map();

    constructor(base) {
        this.base = base;
    }

    get cookie() {
        return [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    }

    async send(path, init = {}) {
        const headers = { ...init.headers, ...(this.cookies.size > 0 ? { cookie: this.cookie } : {}) };
        const response = await fetch(this.base + path, { redirect: 'manual', ...init, headers });
        for (const line of response.headers.getSetCookie()) {
            const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
            if (/; Max-Age=0(;|$)/i.test(line)) {
                this.cookies.delete(name);
            } else {
                this.cookies.set(name, value);
            }
        }
        return { status: response.status, headers: response.headers, body: await response.text() };
    }

    get(path) {
        return this.send(path);
    }

    post(path) {
        return this.send(path, { method: 'POST' });
    }
}

/** Starts a program of this folder that prints its address, and kills it after the tests of a file. */
export async function start(program, ...args) {
    const child = spawn(process.execPath, [new URL(program, import.meta.url).pathname, ...args], {
        stdio: ['ignore', 'pipe', 'inherit'],
    });
    after(() => child.kill('SIGKILL'));
    const [line] = await once(child.stdout, 'data');
    return { child, base: String(line).trim() };
}
