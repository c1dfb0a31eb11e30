// Instances of the components.

import { randomFillSync } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { instantiate as session } from '../dist/session/component.js';
import { SessionError } from '../dist/sdk.js';

/** A function that compiles the core modules of a component, each once. */
export function coreModules(name) {
    const modules = new Map();
    return file => {
        if (!modules.has(file)) {
            const bytes = readFileSync(new URL(`../dist/${name}/${file}`, import.meta.url));
            modules.set(file, new WebAssembly.Module(bytes));
        }
        return modules.get(file);
    };
}

export const instantiateCore = (module, imports) => new WebAssembly.Instance(module, imports);

/** Random numbers, each used once. An id takes four, and asking the system for each costs more than the rest of a start. */
const random = new BigUint64Array(512);
let used = random.length;

function nextRandom() {
    if (used === random.length) {
        randomFillSync(random);
        used = 0;
    }
    const number = random[used];
    random[used] = 0n;
    used += 1;
    return number;
}

const WASI = {
    'wasi:clocks/wall-clock': {
        now() {
            const milliseconds = Date.now();
            const seconds = Math.floor(milliseconds / 1000);
            return { seconds: BigInt(seconds), nanoseconds: (milliseconds - seconds * 1000) * 1e6 };
        },
        resolution: () => ({ seconds: 0n, nanoseconds: 1e6 }),
    },
    'wasi:random/random': {
        getRandomBytes: length => randomFillSync(new Uint8Array(Number(length))),
        getRandomU64: nextRandom,
    },
};

const sessionModules = coreModules('session');

/**
 * Whether an error is an answer of the component; anything else that a call throws is a trap, after which the state of its
 * instance is unknown.
 */
export const isAnswer = error => error instanceof Error && Object.hasOwn(error, 'payload');

const stopped = (what, trap) =>
    Object.assign(new SessionError('storage', `${what}: nothing was saved`), { cause: trap });

/** One instance of the session component. Its memory holds the sessions that were started in it. */
export class Instance {
    #exports;
    #isCalled = false;
    #trap;
    #open = new Map();
    #collected = new FinalizationRegistry(number => this.#open.delete(number));
    #count = 0;
    #client = {};

    constructor({ storage, defaults, notify }) {
        this.#exports = session(
            sessionModules,
            {
                ...WASI,
                'lemon:session/types': {},
                'lemon:session/storage': storage,
                'lemon:session/settings': {
                    getDefaults: () => defaults,
                    // The server itself calls, which may do anything.
                    getCaller: () => ({ request: 0n, manager: 'all' }),
                    getClient: () => this.#client,
                    notify,
                },
            },
            instantiateCore,
        );
    }

    /** Whether a call has trapped. */
    get hasTrapped() {
        return this.#trap !== undefined;
    }

    /** The number of sessions that are in use. */
    get open() {
        return this.#open.size;
    }

    /** Calls the component, on behalf of a client. */
    call(action, client = {}) {
        if (this.#trap) {
            throw stopped('another request made the session component fail', this.#trap);
        }
        if (this.#isCalled) {
            throw new SessionError('storage', 'a store called the session that calls it');
        }
        this.#isCalled = true;
        this.#client = client;
        try {
            return action(this.#exports);
        } catch (error) {
            if (isAnswer(error)) {
                throw error;
            }
            this.#abandon(error);
            throw stopped('the session component failed', error);
        } finally {
            this.#isCalled = false;
        }
    }

    /** Starts a session, for a client. */
    start({ client, ...options }) {
        return this.#keep(this.call(({ sessions }) => sessions.start(options), client), client);
    }

    #keep(resource, client) {
        const number = (this.#count += 1);
        const handle = new Handle(this, resource, client, {
            keep: resource => this.#keep(resource, client),
            release: () => {
                this.#open.delete(number);
                this.#collected.unregister(handle);
            },
        });
        this.#open.set(number, new WeakRef(resource));
        this.#collected.register(handle, number, handle);
        return handle;
    }

    /** Disposes of all sessions, or they would call the component when they are collected. */
    #abandon(trap) {
        this.#trap = trap;
        for (const resource of this.#open.values()) {
            try {
                resource.deref()?.[Symbol.dispose]();
            } catch {
                // It is of no more use.
            }
        }
        this.#open.clear();
    }
}

/** The methods of a session in WIT. */
export const METHODS = [
    'id', 'digest', 'app', 'created', 'get', 'set', 'add', 'delete', 'hasKey', 'keys', 'entries', 'take', 'clear', 'release',
    'regenerateId', 'setOwner', 'owner', 'destroyOthers', 'authenticate', 'freshWithin', 'setLifetime', 'remember', 'setLabel',
    'metadata', 'expiresAt', 'save', 'destroy', 'setDefault', 'flash', 'flashes',
    'entriesOf', 'csrfToken', 'checkCsrf', 'modified', 'accessed',
];

/** A session of an instance. */
export class Handle {
    #instance;
    #resource;
    #client;
    #owner;

    constructor(instance, resource, client, owner) {
        this.#instance = instance;
        this.#resource = resource;
        this.#client = client;
        this.#owner = owner;
    }

    call(method, args) {
        if (!this.#resource) {
            throw new SessionError('gone', 'the request of this session has ended');
        }
        return this.#instance.call(() => this.#resource[method](...args), this.#client);
    }

    application(name) {
        return this.#owner.keep(this.call('application', [name]));
    }

    reserve(name, secret) {
        return this.#owner.keep(this.call('reserve', [name, secret]));
    }

    /** Frees the component's memory of the session. Changes that were not saved are discarded. */
    dispose() {
        const resource = this.#resource;
        if (resource) {
            this.#owner.release();
            if (!this.#instance.hasTrapped) {
                this.#instance.call(() => resource[Symbol.dispose]());
            }
            this.#resource = undefined;
        }
    }
}

for (const method of METHODS) {
    Handle.prototype[method] = function (...args) {
        return this.call(method, args);
    };
}
