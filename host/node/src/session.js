import {
    SessionError, Session as Variables, append, call, errorOf, fromValue, isKnown, numbers, text, tokenOf, whole, withoutToken,
} from '../dist/sdk.js';
import { readable } from './same-origin.js';

/** Waits for the answer of the component. The SDK's functions do the same for what is answered at once. */
async function settled(action) {
    const answer = call(action);
    try {
        return await answer;
    } catch (error) {
        throw error.payload?.tag ? errorOf(error.payload) : error;
    }
}

/** Saves a session before its response. Answers with a promise only if the component runs in another thread. */
export let commit;

/**
 * One application's view of a session: the map of variables of the SDK for applications. What may have to wait for the store is
 * asynchronous.
 */
export class Session extends Variables {
    #raw;
    #deliver;
    /** What the handles of one start have in common. */
    #shared;

    static {
        commit = session => session.#commit();
    }

    /** `deliver` gets the headers of the response. */
    constructor(raw, deliver, shared = { handles: new Set(), hasEnded: false }) {
        super(raw);
        this.#raw = raw;
        this.#deliver = deliver;
        this.#shared = shared;
        shared.handles.add(raw);
    }

    async application(name) {
        text('a name', name);
        return new Session(await settled(() => this.#raw.application(name)), this.#deliver, this.#shared);
    }

    async reserve(name, secret) {
        text('a name', name);
        return new Session(await settled(() => this.#raw.reserve(name, secret)), this.#deliver, this.#shared);
    }

    async release(name) {
        text('a name', name);
        await settled(() => this.#raw.release(name));
    }

    async destroyOthers() {
        return Number(await settled(() => this.#raw.destroyOthers()));
    }

    async flashes() {
        return (await settled(() => this.#raw.flashes())).map(fromValue);
    }

    async entriesOf(digest) {
        text('a digest', digest);
        return (await settled(() => this.#raw.entriesOf(digest))).map(([key, value]) => [key, fromValue(value)]);
    }

    async csrfToken() {
        return settled(() => this.#raw.csrfToken());
    }

    async checkCsrf(request, token) {
        if (!isKnown(readable(request)) && !(await settled(() => this.#raw.checkCsrf(tokenOf(token))))) {
            throw withoutToken();
        }
    }

    async freshWithin(seconds) {
        whole('seconds', seconds);
        return settled(() => this.#raw.freshWithin(seconds));
    }

    get metadata() {
        return settled(() => this.#raw.metadata()).then(numbers);
    }

    async save(headers) {
        return this.#send(await settled(() => this.#raw.save()), headers);
    }

    async destroy(headers) {
        const pairs = await settled(() => this.#raw.destroy());
        this.#shared.hasEnded = true;
        return this.#send(pairs, headers);
    }

    #send(pairs, headers) {
        if (headers) {
            append(pairs, headers);
        } else {
            this.#deliver?.(pairs);
        }
        return pairs;
    }

    #commit() {
        if (this.#shared.hasEnded) {
            return undefined;
        }
        const answer = call(() => this.#raw.save());
        if (typeof answer.then === 'function') {
            return settled(() => answer).then(pairs => void this.#send(pairs));
        }
        this.#send(answer);
        return undefined;
    }

    /** Frees the session's memory. Changes that were not saved are discarded. */
    dispose() {
        for (const raw of this.#shared.handles) {
            raw.dispose();
        }
        this.#shared.handles.clear();
        this.#shared.hasEnded = true;
    }

    [Symbol.dispose]() {
        this.dispose();
    }
}

export { SessionError };
