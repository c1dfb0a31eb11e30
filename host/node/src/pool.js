import { Instance } from './component.js';
import { guard } from './guard.js';

const NOTICES = {
    'unsaved': 'a session was changed and never saved: the changes are lost',
    'changed-after-save': 'a session was changed after it was saved: these changes are lost',
    'started-twice': 'a session was started twice in one request: neither handle sees what the other changes',
};

/**
 * The instances of one thread. A trap takes all sessions of its instance with it, so a request gets an instance of its own
 * while there are fewer than `most`; further requests share.
 */
export class Pool {
    #instances = [];
    #make;
    #most;
    #store;

    constructor({ store, defaults, instances: most, log }) {
        const storage = guard(store, log);
        const notify = ({ tag, val: app }) => {
            log(`app=${app}: ${NOTICES[tag]}`);
        };
        this.#make = () => new Instance({ storage, defaults, notify });
        this.#most = most;
        this.#store = store;
    }

    /** Starts a session in an instance that works. */
    start(options) {
        return this.#instance().start(options);
    }

    /** Calls a function of `manager`. */
    manage(name, args) {
        return this.#instance().call(({ manager }) => manager[name](...args));
    }

    #instance() {
        this.#instances = this.#instances.filter(instance => !instance.hasTrapped);
        let least = this.#instances[0];
        for (const instance of this.#instances) {
            if (instance.open < least.open) {
                least = instance;
            }
        }
        if (!least || (least.open > 0 && this.#instances.length < this.#most)) {
            least = this.#make();
            this.#instances.push(least);
        }
        return least;
    }

    close() {
        this.#instances = [];
        this.#store.close?.();
    }
}
