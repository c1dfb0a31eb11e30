import { COOKIE, OPTIONS, SessionError, check } from '../dist/sdk.js';
import { openPool, threadsFor } from './engine.js';
import { Manager } from './manager.js';
import { Pool } from './pool.js';
import { Session } from './session.js';
import { complete } from './settings.js';
import { Threads } from './threads.js';

/** How many instances of the component a thread has at most. */
const INSTANCES = 16;

const toConsole = text => console.error(`lemon-session: ${text}`);

/** The sessions of a server: a store, the settings, and the component that keeps the rules. */
export class Sessions {
    #opened;
    #engine;

    constructor(options) {
        this.#opened = open(options).then(engine => (this.#engine = engine));
        // Each start fails with it.
        this.#opened.catch(() => {});
    }

    /** Waits until settings and store are known to be right. */
    static async open(options) {
        const sessions = new Sessions(options);
        await sessions.#opened;
        return sessions;
    }

    /** Starts the session that the request's cookie names, or a new one. */
    async start(request, options = {}, deliver) {
        check('start', options, OPTIONS);
        if (options.cookie) {
            check('cookie', options.cookie, COOKIE);
        }
        const { storage, table, ...rest } = options;
        const parameters = { ...rest, ...ofRequest(request), location: { storage, table } };
        const engine = this.#engine ?? (await this.#opened);
        try {
            return new Session(await engine.start(parameters), deliver);
        } catch (error) {
            const { payload } = error;
            throw payload?.tag ? new SessionError(payload.tag, payload.val) : error;
        }
    }

    /** The manager of a store or table. */
    manager(location = {}) {
        return new Manager(async (name, ...args) => (this.#engine ?? (await this.#opened)).manage(name, args), location);
    }

    /** Closes the store. */
    async close() {
        const engine = await this.#opened;
        await engine.close();
    }
}

async function open(options = {}) {
    const { storage, threads, instances = INSTANCES, log = toConsole } = options;
    for (const [name, number, least] of [['threads', threads ?? 0, 0], ['instances', instances, 1]]) {
        if (!Number.isInteger(number) || number < least) {
            throw new SessionError('invalid-option', `${name} is a whole number from ${least}, not ${number}`);
        }
    }
    if (typeof storage?.load === 'function') {
        if (threads) {
            throw new SessionError('invalid-option', 'threads: a store that is an object runs in the thread that made it');
        }
        const { defaults } = await complete({ ...options, storage: 'files:/' });
        return new Pool({ store: storage, defaults, instances, log });
    }
    const { defaults, environment } = await complete(options);
    const { createTables = true } = options;
    const of = { storage, createTables, environment, defaults, instances };
    const count = threads ?? threadsFor(storage);
    return count === 0 ? openPool({ ...of, log }) : new Threads({ ...of, threads: count, log });
}

/** The values of the Cookie fields, whether the visitor came over HTTPS, and the client. */
function ofRequest(request) {
    if (!request) {
        return { cookies: [], https: false, client: {} };
    }
    const { headers } = request;
    if (typeof headers?.get === 'function') {
        // A Request of fetch. Only the server knows whether its proxy may tell the protocol.
        const client = { userAgent: headers.get('user-agent') ?? undefined };
        return { cookies: bytes(headers.get('cookie')), https: request.url.startsWith('https:'), client };
    }
    // A request of node:http, or of express, whose `secure` and `ip` follow the setting `trust proxy`.
    const { socket } = request;
    const client = { address: request.ip ?? socket?.remoteAddress, userAgent: headers['user-agent'] };
    return { cookies: bytes(headers.cookie), https: request.secure ?? socket?.encrypted ?? false, client };
}

/** Header fields are Latin-1 in Node: their bytes are those the browser sent. */
const bytes = cookie => (cookie ? [Buffer.from(cookie, 'latin1')] : []);
