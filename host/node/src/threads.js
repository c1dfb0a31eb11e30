import { Worker } from 'node:worker_threads';

import { SessionError } from '../dist/sdk.js';
import { Mirror, Scratch } from './mirror.js';

/** Threads that run the component, so that a store that waits does not halt the event loop. */
export class Threads {
    #threads = [];
    #options;
    #most;
    #log;
    #scratch;

    constructor({ threads, log, ...options }) {
        this.#most = threads;
        this.#options = options;
        this.#log = log;
        this.#scratch = new Scratch(options.defaults);
    }

    async start(options) {
        const thread = this.#thread();
        return new Mirror(thread, this.#scratch, await thread.call('start', options));
    }

    manage(name, args) {
        return this.#thread().call('manage', name, args);
    }

    /** The thread with the fewest calls, or a new one while all are busy. */
    #thread() {
        this.#threads = this.#threads.filter(thread => thread.works);
        let least = this.#threads[0];
        for (const thread of this.#threads) {
            if (thread.calls < least.calls) {
                least = thread;
            }
        }
        if (!least || (least.calls > 0 && this.#threads.length < this.#most)) {
            least = new Thread(this.#options, this.#log);
            this.#threads.push(least);
        }
        return least;
    }

    async close() {
        const threads = this.#threads;
        this.#threads = [];
        await Promise.all(threads.map(thread => thread.close()));
    }
}

/** The error of a reply, as it was in the thread. */
function toError({ payload, error, isPartial }) {
    if (payload) {
        return Object.assign(new Error('the component answered with an error'), { payload, isPartial });
    }
    if (error) {
        const { code, message } = error;
        // The text of an error with a code begins with it.
        const told = new SessionError(code ?? 'storage', code ? message.slice(code.length + 2) : message);
        return Object.assign(told, { isPartial });
    }
    return undefined;
}

class Thread {
    works = true;
    #worker;
    #waiting = new Map();
    #count = 0;

    constructor(options, log) {
        this.#worker = new Worker(new URL('thread.js', import.meta.url), { workerData: options });
        this.#worker.on('message', ({ call, log: text, ...reply }) => {
            if (text !== undefined) {
                return log(text);
            }
            const { resolve, reject } = this.#waiting.get(call);
            this.#done(call);
            const error = toError(reply);
            if (error) {
                reject(error);
            } else {
                resolve(reply.answer);
            }
        });
        this.#worker.on('error', error => log(`a thread of the session component failed: ${error.message}`));
        this.#worker.on('exit', () => {
            this.works = false;
            for (const [call, { reject }] of this.#waiting) {
                this.#done(call);
                reject(new SessionError('storage', 'a thread of the session component has ended: nothing is known of the call'));
            }
        });
        // Only calls keep the process alive.
        this.#worker.unref();
    }

    /** The number of calls that were not answered yet. */
    get calls() {
        return this.#waiting.size;
    }

    call(name, ...args) {
        return new Promise((resolve, reject) => {
            if (!this.works) {
                throw new SessionError('storage', 'a thread of the session component has ended: nothing was saved');
            }
            const call = (this.#count += 1);
            this.#worker.postMessage({ call, name, args });
            this.#waiting.set(call, { resolve, reject });
            this.#worker.ref();
        });
    }

    #done(call) {
        this.#waiting.delete(call);
        if (this.calls === 0) {
            this.#worker.unref();
        }
    }

    async close() {
        if (this.works) {
            await this.call('close').catch(() => {});
            await this.#worker.terminate();
        }
    }
}
