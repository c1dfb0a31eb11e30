// A session whose component runs in another thread. Its variables are mirrored by a session of this thread that is in no
// store, so that the rules are the same and each call fails where it is made. Changes are collected and made in the other
// thread when the session is saved.

import { Instance } from './component.js';

const noStore = () => {
    throw { tag: 'unavailable', val: 'a mirror has no store' };
};

/** The instance of the component that mirrors are in. */
export class Scratch {
    #defaults;
    #instance;

    constructor(defaults) {
        // Names, owners and reservations were checked by the session that is mirrored.
        this.#defaults = { ...defaults, app: 'mirror', reserved: [], lazy: false, cleanup: 0 };
        this.#defaults.limits = { ...defaults.limits, appLength: 255 };
    }

    start() {
        if (!this.#instance || this.#instance.hasTrapped) {
            const storage = new Proxy({}, { get: () => noStore });
            this.#instance = new Instance({ storage, defaults: this.#defaults, notify: () => {} });
        }
        return this.#instance.start({ cookies: [], https: false, sessionId: '', location: {}, cleanup: 0 });
    }
}

/** Frees the sessions of mirrors that are gone. */
const collected = new FinalizationRegistry(({ thread, number }) => thread.call('dispose', [number]).catch(() => {}));

/** Methods that read the mirror, and those that change it as well. */
const READS = ['get', 'hasKey', 'keys', 'entries', 'owner'];
const WRITES = [
    'set', 'add', 'delete', 'take', 'clear', 'regenerateId', 'setOwner', 'authenticate', 'setLifetime', 'remember', 'setLabel',
    'setDefault', 'flash',
];
/** Methods that reach the store, or read what is not mirrored: messages, the id and the details. */
const COMMITS = [
    'save', 'destroy', 'destroyOthers', 'release', 'freshWithin', 'metadata', 'flashes', 'entriesOf', 'csrfToken', 'checkCsrf',
];
/** Of these, those that are no access to what is stored. */
const ENDS = ['save', 'destroy'];

export class Mirror {
    #thread;
    #scratch;
    #session;
    #about;
    #shared;

    /** `shared` is what all handles of one start have in common: the changes, and why they cannot be made. */
    constructor(thread, scratch, { entries, ...about }, shared = { changes: [], isModified: false, isAccessed: false }) {
        this.#thread = thread;
        this.#scratch = scratch;
        this.#about = about;
        this.#shared = shared;
        this.#session = scratch.start();
        for (const [name, value] of entries) {
            this.#session.set(name, value);
        }
        if (about.owner !== undefined) {
            this.#session.setOwner(about.owner);
        }
        collected.register(this, { thread, number: about.number }, this);
    }

    id() {
        return this.#about.id;
    }

    digest() {
        return this.#about.digest;
    }

    app() {
        return this.#about.app;
    }

    created() {
        return this.#about.created;
    }

    expiresAt() {
        return this.#about.expiresAt;
    }

    /** Whether there was a change since the last save, or messages were taken. */
    modified() {
        return this.#shared.isModified;
    }

    accessed() {
        return this.#shared.isAccessed;
    }

    read(method, args) {
        this.#shared.isAccessed = true;
        return this.#session[method](...args);
    }

    write(method, args) {
        this.#shared.isAccessed = true;
        const answer = this.#session[method](...args);
        this.#shared.changes.push([this.#about.number, method, args]);
        this.#shared.isModified = true;
        return answer;
    }

    async commit(method, args) {
        if (this.#shared.failure) {
            throw this.#shared.failure;
        }
        const { changes } = this.#shared;
        this.#shared.changes = [];
        try {
            const { answer, about } = await this.#thread.call('commit', this.#about.number, changes, method, args);
            Object.assign(this.#about, about);
            if (ENDS.includes(method)) {
                this.#shared.isModified = false;
            } else {
                this.#shared.isAccessed = true;
                this.#shared.isModified ||= method === 'flashes' && answer.length > 0;
            }
            return answer;
        } catch (error) {
            // Some of the changes were made: no later save may store those without the rest.
            if (error.isPartial) {
                this.#shared.failure = error;
            }
            throw error;
        }
    }

    async #another(method, args) {
        return new Mirror(this.#thread, this.#scratch, await this.commit(method, args), this.#shared);
    }

    application(name) {
        return this.#another('application', [name]);
    }

    reserve(name, secret) {
        return this.#another('reserve', [name, secret]);
    }

    dispose() {
        collected.unregister(this);
        this.#session.dispose();
        this.#thread.call('dispose', [this.#about.number]).catch(() => {});
    }
}

for (const [kind, methods] of [['read', READS], ['write', WRITES], ['commit', COMMITS]]) {
    for (const method of methods) {
        Mirror.prototype[method] = function (...args) {
            return this[kind](method, args);
        };
    }
}
