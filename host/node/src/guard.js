import { isAnswer } from './component.js';

/** The functions of `lemon:session/storage`. */
export const FUNCTIONS = [
    'load', 'fetch', 'create', 'update', 'destroy', 'destroyOwned', 'cleanup', 'cleanupLater', 'count', 'list', 'createTables',
    'dropTables', 'tablesExist',
];

/** The cases of `failure`. */
const FAILURES = ['missing-tables', 'unknown-location', 'unavailable', 'too-many'];

/**
 * Wraps a store so that whatever it throws is answered as a `failure`. An error that a JavaScript function throws into a
 * component ends the instance, and every request after it fails.
 */
export function guard(store, log) {
    const missing = FUNCTIONS.filter(name => typeof store[name] !== 'function');
    if (missing.length > 0) {
        throw new TypeError(`storage: a store has the functions of lemon:session/storage; this one has no ${missing.join(', ')}`);
    }
    const call = (name, args) => {
        const answer = store[name](...args);
        if (typeof answer?.then === 'function') {
            answer.then(undefined, () => {});
            throw new TypeError(`${name} answered with a promise: a store has to answer synchronously`);
        }
        return answer;
    };
    const guarded = {};
    for (const name of FUNCTIONS) {
        guarded[name] = (...args) => {
            try {
                return call(name, args);
            } catch (error) {
                const failure = toFailure(error);
                // A component has told what it answers already.
                if (!isAnswer(error)) {
                    log(`the session store failed: ${name}: ${failure.val}`);
                }
                // The glue of jco makes a thrown object the error of a `result`, and throws an Error on.
                throw failure;
            }
        };
    }
    // Has no result to tell an error in.
    guarded.cleanupLater = (...args) => {
        try {
            call('cleanupLater', args);
        } catch (error) {
            log(`the session store failed: cleanupLater: ${toFailure(error).val}`);
        }
    };
    return guarded;
}

function toFailure(error) {
    const failure = isAnswer(error) ? error.payload : error;
    if (!(failure instanceof Error) && FAILURES.includes(failure?.tag) && typeof failure.val === 'string') {
        return { tag: failure.tag, val: failure.val };
    }
    return { tag: 'unavailable', val: String(error?.message ?? error) };
}
