/**
 * Sessions for WebAssembly applications in JavaScript: variables that belong to one visitor and are there again on the
 * visitor's next request.
 *
 *     const session = start(request, { app: 'visits' });
 *     session.set('visits', (session.get('visits') ?? 0) + 1);
 *     return new Response('Hello', { headers: session.save() });
 *
 * A variable is plain data: null, a boolean, number, BigInt, string or Uint8Array, and arrays and objects. What is not is
 * refused with a SessionError, never altered. Numbers keep their kind as well as JavaScript knows it:
 *
 * - A number that is a safe integer is stored as an integer, as 1; any other as a real, as 1.5 or 2 ** 60.
 * - JavaScript has no 1.0 beside 1: real(1) is stored as a real, also inside of arrays and objects.
 * - A BigInt is stored as an integer, which has 64 bits.
 * - An integer is read as a number if it is a safe one, else as a BigInt. A real is read as a number.
 *
 * An array or object that was changed has to be set again: session.get('cart') is a copy.
 */

import * as manager from 'lemon:session/manager@0.1.0';
import * as sessions from 'lemon:session/sessions@0.1.0';

const TEXTS = {
    conflict: 'somebody else saved this session in the meantime',
    gone: 'the session has ended',
};

const STATUS = {
    'invalid-name': 400,
    'invalid-value': 400,
    'invalid-option': 400,
    reserved: 403,
    denied: 403,
    'cross-site': 403,
    conflict: 409,
    gone: 409,
    'too-large': 413,
    'too-many': 429,
    storage: 503,
};

/**
 * What went wrong. `code` is one of invalid-name, invalid-value, invalid-option, reserved, too-large, unreadable, conflict,
 * gone, storage, denied, too-many and cross-site; `status` is the status code to answer the request with; the message is for
 * people.
 */
export class SessionError extends Error {
    constructor(code, text = TEXTS[code]) {
        super(`${code}: ${text}`);
        this.name = 'SessionError';
        this.code = code;
        this.status = STATUS[code] ?? 500;
    }
}

const errorOf = ({ tag, val }) => new SessionError(tag, val);

/** Calls the session component, whose errors are thrown by the engine as objects with a payload. */
function call(action) {
    try {
        return action();
    } catch (error) {
        const { payload } = error;
        if (Array.isArray(payload)) {
            throw new AggregateError(payload.map(errorOf), 'the tables');
        }
        throw payload?.tag ? errorOf(payload) : error;
    }
}

/**
 * ComponentizeJS 0.23 aborts when it passes on 64 bits of a negative integer or real, as it takes them for an unsigned BigInt
 * (bytecodealliance/ComponentizeJS#343). So the BigInt of its bindings, which live in a realm of their own, makes unsigned ones
 * of the same bits while a number is passed on.
 */
const bindings = sessions.start.constructor('return globalThis')();
const { asUintN } = BigInt;
const toBigInt = BigInt;
const Unsigned = Object.assign(value => asUintN(64, toBigInt(value)), { asIntN: asUintN, asUintN });

function callWithNumber(action) {
    const { BigInt } = bindings;
    bindings.BigInt = Unsigned;
    try {
        return call(action);
    } finally {
        bindings.BigInt = BigInt;
    }
}

/** A number that is stored as a real though it is whole: real(1) is 1.0. */
export const real = value => new Real(value);

class Real {
    constructor(value) {
        if (typeof value !== 'number') {
            throw new SessionError('invalid-value', `real() takes a number, no ${typeof value}`);
        }
        this.value = value;
    }
}

const OPTIONS = [
    'app', 'sessionId', 'storage', 'table', 'expires', 'cookie', 'seed', 'cleanup', 'strict', 'cacheLimiter',
];
const COOKIE = ['name', 'path', 'domain', 'secure', 'httpOnly', 'sameSite', 'partitioned', 'lifetime', 'comment'];
const SECONDS = ['expires', 'lifetime'];

/**
 * Begins a session, unless the request brings one that exists.
 *
 * `request` is a Request of a fetch event, or an incoming request of wasi:http. What the options do not give comes from the
 * host's settings.
 */
export function start(request, options = {}) {
    check('start', options, OPTIONS);
    if (options.cookie) {
        check('cookie', options.cookie, COOKIE);
    }
    const { storage, table, ...rest } = options;
    const parameters = { ...rest, ...ofRequest(request), location: { storage, table } };
    return new Session(call(() => sessions.start(parameters)));
}

/** The component's side would make a number of anything, and pass over what it does not know. */
function check(what, given, known) {
    for (const [name, value] of Object.entries(given)) {
        if (!known.includes(name)) {
            throw new SessionError('invalid-option', `${what} has no option ${name}; it has ${known.join(', ')}`);
        }
        if (SECONDS.includes(name) && value !== undefined && !(Number.isInteger(value) && value >= 0 && value < 2 ** 32)) {
            throw new SessionError('invalid-option', `${name} is a whole number of seconds, 0 or more`);
        }
        if (typeof value === 'string') {
            wellFormed(value, why => {
                throw new SessionError('invalid-option', `${name}: ${why}`);
            });
        }
    }
}

/** The values of the Cookie fields, and whether the visitor sent the request over HTTPS. */
function ofRequest(request) {
    if (!request) {
        return { cookies: [], https: false };
    }
    if (typeof request.headers === 'function') {
        const fields = request.headers();
        const forwarded = fields.get('x-forwarded-proto').map(value => new TextDecoder().decode(value));
        const https = request.scheme()?.tag === 'HTTPS' || forwarded.length > 0 && isHttps(forwarded.at(-1));
        return { cookies: fields.get('cookie'), https };
    }
    const cookie = request.headers.get('cookie');
    const https = request.url.startsWith('https:') || isHttps(request.headers.get('x-forwarded-proto') ?? '');
    return { cookies: cookie === null ? [] : [new TextEncoder().encode(cookie)], https };
}

/** Of several values, the last is the nearest proxy's: a client can only add values before it. */
const isHttps = forwarded => forwarded.split(',').at(-1).trim().toLowerCase() === 'https';

/**
 * Throws `cross-site` for a request that another site had the visitor's browser send: a forged form that signs the visitor
 * in, or changes what is theirs (CSRF). Call it before anything that a request with a method such as POST changes.
 *
 * GET, HEAD, OPTIONS and TRACE pass, so they must not change anything. Sec-Fetch-Site, which browsers send over HTTPS and to
 * localhost, has to be same-origin or none. Without it, Origin has to name the host and port that the request was sent to; a
 * proxy in front of the server has to pass Host on. A request with neither does not come from a browser, and passes.
 */
export function checkSameOrigin(request) {
    const { method, host, header } = sent(request);
    if (['GET', 'HEAD', 'OPTIONS', 'TRACE'].includes(method)) {
        return;
    }
    const [sites, origins] = [header('sec-fetch-site'), header('origin')];
    if (sites.length > 0) {
        if (!sites.every(site => ['same-origin', 'none'].includes(site))) {
            throw new SessionError('cross-site', 'the request comes from another origin: Sec-Fetch-Site says so');
        }
    } else if (origins.length > 0 && !(origins.length === 1 && isOwn(origins[0], host, ofRequest(request).https))) {
        const why = 'its Origin is not its Host, which a proxy has to pass on';
        throw new SessionError('cross-site', `the request comes from another origin: ${why}`);
    }
}

/** The method of a request, the host it was sent to, and a function for the values of its fields of one name. */
function sent(request) {
    if (typeof request.headers === 'function') {
        const { tag, val } = request.method();
        const fields = request.headers();
        const header = name => fields.get(name).map(value => new TextDecoder().decode(value));
        return { method: val ?? tag.toUpperCase(), host: request.authority(), header };
    }
    const header = name => (request.headers.has(name) ? [request.headers.get(name)] : []);
    return { method: request.method, host: new URL(request.url).host, header };
}

/** Whether an origin, as https://example.org, is that of the request. Nobody has to name the scheme's own port. */
function isOwn(origin, host, https) {
    const [, scheme, of] = /^(http|https):\/\/(.+)$/.exec(origin) ?? [];
    if (!scheme || !host || (https && scheme === 'http')) {
        return false;
    }
    const port = scheme === 'http' ? ':80' : ':443';
    const named = text => (text.endsWith(port) ? text.slice(0, -port.length) : text).toLowerCase();
    return named(of) === named(host);
}

/**
 * One application's view of a session: a map of its variables.
 *
 * All handles of one start share what they changed, and `save` on any of them saves it all. Changes that were not saved are
 * discarded. After the session has ended every method throws `gone`.
 */
export class Session {
    #session;

    constructor(session) {
        this.#session = session;
    }

    /** The value of a variable, or undefined. */
    get(key) {
        return optional(call(() => this.#session.get(text('a key', key))));
    }

    /** Sets a variable. */
    set(key, value) {
        text('a key', key);
        const stored = toValue(key, value);
        callWithNumber(() => this.#session.set(key, stored));
        return this;
    }

    /** Adds to an integer and returns the sum. Concurrent requests never lose an addition. */
    add(key, delta = 1) {
        const { tag, val } = toValue(key, delta);
        if (tag !== 'integer') {
            throw new SessionError('invalid-value', `${key}: an integer is added, no ${tag}`);
        }
        return number(callWithNumber(() => this.#session.add(text('a key', key), val)));
    }

    /** Removes a variable; tells whether it was there. */
    delete(key) {
        return call(() => this.#session.delete(text('a key', key)));
    }

    /** Whether there is such a variable. */
    has(key) {
        return call(() => this.#session.hasKey(text('a key', key)));
    }

    /** The names of all variables, sorted. */
    keys() {
        return call(() => this.#session.keys());
    }

    /** All variables, sorted by name. */
    entries() {
        return call(() => this.#session.entries()).map(([key, value]) => [key, fromValue(value)]);
    }

    [Symbol.iterator]() {
        return this.entries()[Symbol.iterator]();
    }

    /** How many variables there are. */
    get size() {
        return this.keys().length;
    }

    /** Reads a variable and removes it: for messages that are shown once. */
    take(key) {
        return optional(call(() => this.#session.take(text('a key', key))));
    }

    /** Removes all of the application's variables, also those that concurrent requests set before this is saved. */
    clear() {
        call(() => this.#session.clear());
    }

    /** The session's id. After `regenerateId`, the new one. A secret: whoever knows it has the session. */
    get id() {
        return this.#session.id();
    }

    /**
     * The SHA-256 digest of the id in hexadecimal: what the store and the manager know the session by. After `regenerateId`,
     * the digest of the old id until `save`. No secret.
     */
    get digest() {
        return this.#session.digest();
    }

    /** The application whose variables this handle reads and writes. */
    get app() {
        return this.#session.app();
    }

    /** Whether `start` began this session; false when it was there already. */
    get created() {
        return this.#session.created();
    }

    /** The same session, with the variables of another application. */
    application(name) {
        return new Session(call(() => this.#session.application(text('a name', name))));
    }

    /** Reserves an application name, and returns the one handle that reads and writes its variables from now on. */
    reserve(name, key) {
        return new Session(call(() => this.#session.reserve(text('a name', name), key)));
    }

    /** Ends the reservation of a name. Only a handle that `reserve` returned for it can. */
    release(name) {
        call(() => this.#session.release(text('a name', name)));
    }

    /** Gives the session a new id when it is saved. To be called at each login and each change of rights. */
    regenerateId() {
        call(() => this.#session.regenerateId());
    }

    /** Says whose session this is, or with undefined that it is nobody's. */
    setOwner(owner) {
        call(() => this.#session.setOwner(owner === undefined ? undefined : text('an owner', owner)));
    }

    /** Whose session this is, or undefined. */
    get owner() {
        return call(() => this.#session.owner());
    }

    /** Ends all other live sessions of this session's owner at once, and returns how many: for a change of password. */
    destroyOthers() {
        return Number(call(() => this.#session.destroyOthers()));
    }

    /** When the session expires unless it is used again. */
    get expiresAt() {
        return new Date(Number(this.#session.expiresAt()) * 1000);
    }

    /**
     * Stores all changes in one transaction, and returns the headers to send with the response: pairs of a name and a value,
     * as `new Response(body, { headers })` takes them. They are also appended to `headers`, the Headers of a response, if given:
     * their own Cache-Control takes precedence, unless a cookie is set. Every request calls this, also one that only read.
     */
    save(headers) {
        return append(call(() => this.#session.save()), headers);
    }

    /** Ends the session at once and discards all changes. Returns the headers that delete the cookie, if there may be one. */
    destroy(headers) {
        return append(call(() => this.#session.destroy()), headers);
    }
}

/** Appends pairs to Headers that may have some already, if they are given; returns the pairs. */
function append(pairs, headers) {
    const setsCookie = pairs.some(([name]) => name === 'set-cookie');
    for (const [name, value] of headers ? pairs : []) {
        const there = headers.get(name);
        if (there === null || name === 'set-cookie') {
            headers.append(name, value);
        } else if (name === 'cache-control') {
            // No cache may keep a response that sets a cookie.
            if (setsCookie) {
                headers.set(name, value);
            }
        } else {
            const names = there.split(',').map(one => one.trim().toLowerCase());
            if (!names.includes('*') && !names.includes(value.toLowerCase())) {
                headers.append(name, value);
            }
        }
    }
    return pairs;
}

/**
 * Sets up what sessions are stored in, and manages all of them. Times are in seconds since 1970.
 *
 * What an application may call is its grant, which the host configures: unless it says otherwise, `list` and `destroy` with an
 * owner, and `destroyOwned`. Every other call throws `denied`.
 */
export class Manager {
    #location;

    constructor({ storage, table } = {}) {
        this.#location = { storage, table };
    }

    /** Creates the tables. Throws an AggregateError of all that went wrong. */
    createTables() {
        call(() => manager.createTables(this.#location));
    }

    /** Removes the tables with all sessions in them. Throws an AggregateError of all that went wrong. */
    dropTables() {
        call(() => manager.dropTables(this.#location));
    }

    /** Whether the tables are there. */
    tablesExist() {
        return call(() => manager.tablesExist(this.#location));
    }

    /** Removes expired sessions, at most `limit`, and returns how many. */
    cleanup(limit = 10_000) {
        return call(() => manager.cleanup(this.#location, limit));
    }

    /** How many sessions are live. */
    count() {
        return Number(call(() => manager.count(this.#location)));
    }

    /** The live sessions, those of one owner if one is given. */
    *list(owner) {
        let after;
        do {
            const page = call(() => manager.list(this.#location, owner, after, 1000));
            for (const { created, accessed, expires, size, ...entry } of page.entries) {
                const numbers = { created, accessed, expires, size };
                yield { ...entry, ...Object.fromEntries(Object.entries(numbers).map(([name, big]) => [name, Number(big)])) };
            }
            after = page.next;
        } while (after !== undefined);
    }

    /** Ends one session by its digest, if `owner` is given only one of this owner; tells whether a live session was ended. */
    destroy(digest, owner) {
        const of = owner === undefined ? undefined : text('an owner', owner);
        return call(() => manager.destroy(this.#location, text('a digest', digest), of));
    }

    /** Ends all sessions of an owner, all but the one of the digest `except` if given, and returns how many. */
    destroyOwned(owner, except) {
        return Number(call(() => manager.destroyOwned(this.#location, text('an owner', owner), except)));
    }
}

/** A string as it is: the component's side would make one of anything. */
function text(what, value) {
    if (typeof value !== 'string') {
        throw new SessionError('invalid-name', `${what} is a string, no ${typeof value}`);
    }
    if (!value.isWellFormed()) {
        throw new SessionError('invalid-name', `${what} holds half of a surrogate pair, which UTF-8 has not`);
    }
    return value;
}

const PLAIN = 'a variable is null, a boolean, number, BigInt, string, Uint8Array, array or plain object';
/** What the readers of all languages take. */
const DEPTH = 127;

/** The value that plain data is stored as. */
function toValue(key, value) {
    const refuse = why => {
        throw new SessionError('invalid-value', `${key}: ${why}`);
    };
    if (value === null) {
        return { tag: 'null' };
    }
    if (value instanceof Real) {
        return { tag: 'real', val: value.value };
    }
    if (isBytes(value)) {
        return { tag: 'bytes', val: value };
    }
    switch (typeof value) {
        case 'boolean':
            return { tag: 'boolean', val: value };
        case 'number':
            return isInteger(value) ? { tag: 'integer', val: BigInt(value) } : { tag: 'real', val: value };
        case 'bigint':
            return { tag: 'integer', val: sixtyFour(value, refuse) };
        case 'string':
            return { tag: 'text', val: wellFormed(value, refuse) };
        default:
            return { tag: 'json', val: toJson(value, 0, refuse) };
    }
}

/** The engine makes arrays of a realm of its own, of which instanceof knows nothing. */
const isBytes = value => ArrayBuffer.isView(value) && value[Symbol.toStringTag] === 'Uint8Array';

/** Minus zero is a real: no integer is it. */
const isInteger = value => Number.isSafeInteger(value) && !Object.is(value, -0);

const sixtyFour = (value, refuse) =>
    BigInt.asIntN(64, value) === value ? value : refuse('a BigInt is outside of -2^63 to 2^63-1; a string holds any number');

const wellFormed = (value, refuse) =>
    value.isWellFormed() ? value : refuse('a string holds half of a surrogate pair, which UTF-8 has not');

/** JSON.stringify would drop undefined, write NaN as null, and ask objects for a toJSON of theirs. */
function toJson(value, depth, refuse) {
    if (value === null) {
        return 'null';
    }
    if (value instanceof Real) {
        return realToJson(value.value, refuse);
    }
    switch (typeof value) {
        case 'boolean':
            return String(value);
        case 'number':
            return isInteger(value) ? String(value) : realToJson(value, refuse);
        case 'bigint':
            return String(sixtyFour(value, refuse));
        case 'string':
            return JSON.stringify(wellFormed(value, refuse));
        case 'undefined':
            return refuse(`undefined is no plain data: ${PLAIN}; delete() removes a variable`);
    }
    if (depth === DEPTH) {
        return refuse(`arrays and objects are nested deeper than ${DEPTH} levels, or hold themselves`);
    }
    if (Array.isArray(value)) {
        return `[${Array.from(value, one => toJson(one, depth + 1, refuse)).join(',')}]`;
    }
    const prototype = typeof value === 'object' ? Object.getPrototypeOf(value) : undefined;
    if (prototype === Object.prototype || prototype === null) {
        if (Object.getOwnPropertySymbols(value).length > 0) {
            refuse('an object has a symbol for a key; JSON has only strings');
        }
        const fields = Object.entries(value).map(
            ([name, one]) => `${JSON.stringify(wellFormed(name, refuse))}:${toJson(one, depth + 1, refuse)}`,
        );
        return `{${fields.join(',')}}`;
    }
    if (isBytes(value)) {
        return refuse('there are bytes inside of an array or object, which JSON has not; a variable of their own holds them');
    }
    return refuse(`a ${value?.constructor?.name ?? typeof value} is no plain data: ${PLAIN}`);
}

/** Written so that every language reads a real. */
function realToJson(value, refuse) {
    if (!Number.isFinite(value)) {
        return refuse('a number inside of an array or object is infinite or NaN, which JSON has not');
    }
    if (Object.is(value, -0)) {
        return '-0.0';
    }
    const digits = String(value);
    return /^-?\d+$/.test(digits) ? `${digits}.0` : digits;
}

const optional = value => (value === undefined ? undefined : fromValue(value));

/** The plain data that a value is. */
function fromValue({ tag, val }) {
    switch (tag) {
        case 'null':
            return null;
        case 'integer':
            return number(val);
        case 'bytes':
            return new Uint8Array(val);
        case 'json':
            return JSON.parse(val, revive);
        default:
            return val;
    }
}

/** An integer as a number if that is exact, else as the BigInt that it is. */
const number = integer => (BigInt.asIntN(54, integer) === integer && integer !== -(2n ** 53n) ? Number(integer) : integer);

/** JSON.parse rounds integers that are no safe ones; their digits are in the source. */
function revive(_, value, { source }) {
    return typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(source) ? BigInt(source) : value;
}
