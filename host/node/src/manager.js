import { errorOf, numbers, text } from '../dist/sdk.js';

/** Manages tables and the sessions of all visitors: the manager of the SDK for applications, asynchronous. */
export class Manager {
    #call;
    #location;

    constructor(call, { storage, table }) {
        this.#call = async (name, ...args) => {
            try {
                return await call(name, this.#location, ...args);
            } catch (error) {
                const { payload } = error;
                if (Array.isArray(payload)) {
                    throw new AggregateError(payload.map(errorOf), payload.map(one => errorOf(one).message).join('\n'));
                }
                throw payload?.tag ? errorOf(payload) : error;
            }
        };
        this.#location = { storage, table };
    }

    async createTables() {
        await this.#call('createTables');
    }

    async dropTables() {
        await this.#call('dropTables');
    }

    tablesExist() {
        return this.#call('tablesExist');
    }

    cleanup(limit = 10_000) {
        return this.#call('cleanup', limit);
    }

    async count() {
        return Number(await this.#call('count'));
    }

    async *list(owner) {
        let after;
        do {
            const { entries, next } = await this.#call('list', owner, after, 1000);
            yield* entries.map(numbers);
            after = next;
        } while (after !== undefined);
    }

    async get(digest, owner) {
        const of = owner === undefined ? undefined : text('an owner', owner);
        const entry = await this.#call('get', text('a digest', digest), of);
        return entry && numbers(entry);
    }

    destroy(digest, owner) {
        const of = owner === undefined ? undefined : text('an owner', owner);
        return this.#call('destroy', text('a digest', digest), of);
    }

    async destroyOwned(owner, except) {
        return Number(await this.#call('destroyOwned', text('an owner', owner), except));
    }
}
