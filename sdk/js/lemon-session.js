/**
 * Sessions for WebAssembly applications in JavaScript: variables that belong to one visitor and are available again on
 * the visitor's next request.
 *
 *     const session = start(request, { app: 'visits' });
 *     session.set('visits', (session.get('visits') ?? 0) + 1);
 *     return new Response('Hello', { headers: session.save() });
 *
 * A variable is plain data: null, a boolean, number, BigInt, string, Uint8Array, array or object. Anything else is
 * refused with a SessionError, never altered. Numbers are stored as integers or reals:
 *
 * - A number that is a safe integer, such as 1, is stored as an integer; any other, such as 1.5 or 2 ** 60, as a real.
 * - JavaScript cannot tell 1.0 from 1: use real(1) to store it as a real, also inside arrays and objects.
 * - A BigInt is stored as an integer and must fit into 64 bits.
 * - An integer is read as a number if it is a safe integer, else as a BigInt. A real is read as a number.
 *
 * session.get('cart') returns a copy: after changing an array or object, set the variable again.
 */

import * as manager from 'lemon:session/manager@0.1.0';
import * as sessions from 'lemon:session/sessions@0.1.0';

const TEXTS = {
    conflict: 'another request saved this session first',
    gone: 'the session has ended',
};

/** All others have 500: they are mistakes of the program or of the host's settings. */
const STATUS = {
    denied: 403,
    'cross-site': 403,
    conflict: 409,
    gone: 409,
    'too-large': 413,
    'too-many': 429,
    storage: 503,
};

/**
 * Why a call failed. `code` is one of invalid-name, invalid-value, invalid-option, reserved, too-large, unreadable,
 * conflict, gone, storage, denied, too-many and cross-site; `status` is the HTTP status code for the response; the
 * message is for people.
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

/** Calls the session component. The engine throws its errors as objects with a payload. */
function call(action) {
    try {
        return action();
    } catch (error) {
        const { payload } = error;
        if (Array.isArray(payload)) {
            throw new AggregateError(payload.map(errorOf), 'errors of the tables');
        }
        throw payload?.tag ? errorOf(payload) : error;
    }
}

/**
 * ComponentizeJS 0.23 aborts when it passes a negative integer or real, because it treats the 64 bits as an unsigned
 * BigInt (bytecodealliance/ComponentizeJS#343). During such a call, the BigInt of its bindings, which are in another
 * realm, is replaced by a function that returns the unsigned BigInt with the same bits.
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

/** Stores a number as a real even if it is whole: real(1) is 1.0. */
export const real = value => new Real(value);

class Real {
    constructor(value) {
        if (typeof value !== 'number') {
            throw new SessionError('invalid-value', `real() takes a number, not a ${typeof value}`);
        }
        this.value = value;
    }
}

const OPTIONS = [
    'app', 'sessionId', 'storage', 'table', 'expires', 'cookie', 'seed', 'cleanup', 'strict', 'cacheLimiter',
];
const COOKIE = ['name', 'path', 'domain', 'secure', 'httpOnly', 'sameSite', 'partitioned', 'lifetime', 'comment'];
const SECONDS = ['expires', 'lifetime'];
const STRINGS = [
    'app', 'sessionId', 'storage', 'table', 'seed', 'cacheLimiter',
    'name', 'path', 'domain', 'secure', 'sameSite', 'comment',
];
const BOOLEANS = ['strict', 'httpOnly', 'partitioned'];

/**
 * Starts the session that the request's cookie names, or a new one.
 *
 * `request` is a Request of a fetch event, or an incoming request of wasi:http. Options that are not given default to
 * the host's settings.
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

/** Checks options, because the bindings convert anything to a number and ignore unknown names. */
function check(what, given, known) {
    for (const [name, value] of Object.entries(given)) {
        if (!known.includes(name)) {
            throw new SessionError('invalid-option', `${what} has no option ${name}; its options are ${known.join(', ')}`);
        }
        if (value === undefined) {
            continue;
        }
        const kind = STRINGS.includes(name) ? 'string' : BOOLEANS.includes(name) ? 'boolean' : undefined;
        if (kind && typeof value !== kind) {
            throw new SessionError('invalid-option', `${name} must be a ${kind}, not ${value === null ? null : typeof value}`);
        }
        if (SECONDS.includes(name) && !(Number.isInteger(value) && value >= 0 && value < 2 ** 32)) {
            throw new SessionError('invalid-option', `${name} must be a whole number of seconds from 0 to 2 ** 32 - 1`);
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

/** The last value comes from the nearest proxy, as a client can only add values before it. */
const isHttps = forwarded => forwarded.split(',').at(-1).trim().toLowerCase() === 'https';

/**
 * Throws `cross-site` for a request that another site made the visitor's browser send, for example a forged form that
 * logs the visitor in or changes the visitor's data (CSRF). Call it before a request with a method such as POST changes
 * anything.
 *
 * GET, HEAD, OPTIONS and TRACE pass, so the application must not change anything in response to them. Sec-Fetch-Site,
 * which browsers send over HTTPS and to localhost, must be same-origin or none. Without it, Origin must match the host
 * and port that the request was sent to; a proxy in front of the server must pass Host on. A request with neither
 * header passes, as it does not come from a browser.
 */
export function checkSameOrigin(request) {
    isKnown(request);
}

/** As checkSameOrigin. Returns whether the request is known to be harmless; if not, it has neither header. */
function isKnown(request) {
    const { method, host, header } = sent(request);
    if (['GET', 'HEAD', 'OPTIONS', 'TRACE'].includes(method)) {
        return true;
    }
    const [sites, origins] = [header('sec-fetch-site'), header('origin')];
    if (sites.length > 0) {
        if (!sites.every(site => ['same-origin', 'none'].includes(site))) {
            throw new SessionError('cross-site', 'the request comes from another origin: Sec-Fetch-Site says so');
        }
    } else if (origins.length > 0 && !(origins.length === 1 && isOwn(origins[0], host, ofRequest(request).https))) {
        const why = 'its Origin does not match its Host, which a proxy must pass on';
        throw new SessionError('cross-site', `the request comes from another origin: ${why}`);
    }
    return sites.length > 0 || origins.length > 0;
}

const withoutToken = () =>
    new SessionError('cross-site', 'the request has neither Sec-Fetch-Site nor Origin, and no valid token of this session');

/** A token that a client may have sent: anything else than a text is none. */
const tokenOf = token => (typeof token === 'string' && token.isWellFormed() ? token : '');

/**
 * The method of a request, the host it was sent to, and a function that returns the values of the fields with a name.
 */
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

/**
 * Whether an origin, such as https://example.org, is that of the request. The scheme's default port is optional in
 * both.
 */
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
 * All handles of one start share their changes, and `save` on any of them saves all of these. Changes that are not
 * saved are discarded. After the session has ended, every method throws `gone`.
 */
export class Session {
    #session;

    constructor(session) {
        this.#session = session;
    }

    /** The value of a variable, or undefined if it is not set. */
    get(key) {
        return optional(call(() => this.#session.get(variable(key))));
    }

    /** Sets a variable. */
    set(key, value) {
        variable(key);
        const stored = toValue(key, value);
        callWithNumber(() => this.#session.set(key, stored));
        return this;
    }

    /**
     * Adds to an integer and returns the sum. A variable that is not set counts as 0. No addition is lost to a
     * concurrent request.
     */
    add(key, delta = 1) {
        const { tag, val } = toValue(key, delta);
        if (tag !== 'integer') {
            throw new SessionError('invalid-value', `${key}: only an integer can be added, not ${tag}`);
        }
        return number(callWithNumber(() => this.#session.add(variable(key), val)));
    }

    /** Removes a variable and returns whether it was set. */
    delete(key) {
        return call(() => this.#session.delete(variable(key)));
    }

    /** Whether a variable is set. */
    has(key) {
        return call(() => this.#session.hasKey(variable(key)));
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

    /** The number of variables. */
    get size() {
        return this.keys().length;
    }

    /** Reads a variable and removes it: for messages that are shown once. */
    take(key) {
        return optional(call(() => this.#session.take(variable(key))));
    }

    /**
     * Removes all of the application's variables, including those that concurrent requests set before this change is
     * saved.
     */
    clear() {
        call(() => this.#session.clear());
    }

    /** The session's id; after `regenerateId`, the new one. It is a secret: a client that sends it has the session. */
    get id() {
        return this.#session.id();
    }

    /**
     * The SHA-256 digest of the id in hexadecimal, which identifies the session to the store and the manager. After
     * `regenerateId`, this is the digest of the old id until `save`. Not a secret.
     */
    get digest() {
        return this.#session.digest();
    }

    /** The application whose variables this handle reads and writes. */
    get app() {
        return this.#session.app();
    }

    /** Whether this `start` created the session. */
    get created() {
        return this.#session.created();
    }

    /** The same session, with the variables of another application. */
    application(name) {
        return new Session(call(() => this.#session.application(text('a name', name))));
    }

    /**
     * Reserves an application name and returns the only handle that can access its variables from now on. With
     * `secret` it can be reserved again.
     */
    reserve(name, secret) {
        return new Session(call(() => this.#session.reserve(text('a name', name), secret)));
    }

    /** Ends the reservation of a name. Only a handle that `reserve` returned for it can do this. */
    release(name) {
        call(() => this.#session.release(text('a name', name)));
    }

    /**
     * Rotates the session's id: it gets a new one when it is saved, and the old one stops working then. Call this at
     * each login and each change of privileges.
     */
    regenerateId() {
        call(() => this.#session.regenerateId());
    }

    /** Sets the session's owner, usually the user who logged in, or with undefined removes it. */
    setOwner(owner) {
        call(() => this.#session.setOwner(owner === undefined ? undefined : text('an owner', owner)));
    }

    /** The session's owner, or undefined. */
    get owner() {
        return call(() => this.#session.owner());
    }

    /**
     * Ends all other live sessions of this session's owner immediately and returns their number. For password changes.
     */
    destroyOthers() {
        return Number(call(() => this.#session.destroyOthers()));
    }

    /**
     * Notes that the owner has logged in, now and by this method, such as 'password' or 'passkey', and rotates the session's
     * id: it gets a new one when it is saved. Call this at each login, and each time that the owner has proved again who it is.
     */
    authenticate(owner, method) {
        call(() => this.#session.authenticate(text('an owner', owner), text('a method', method)));
    }

    /** Whether the owner has logged in within the last `seconds`: for pages that ask for the password again. */
    freshWithin(seconds) {
        return call(() => this.#session.freshWithin(whole('seconds', seconds)));
    }

    /**
     * Sets how long the session lasts, in seconds, shorter or longer than before, from its next save on. This is stored with
     * the session and applies to all later requests; what is not given is as the host's settings say. `expires` is the idle
     * time, `maxLifetime` the time from now after which the session ends however often it is used, `cookie` the lifetime of
     * the cookie, where 0 means until the browser closes.
     */
    setLifetime(lifetime = {}) {
        check('setLifetime', lifetime, ['expires', 'maxLifetime', 'cookie']);
        const given = Object.entries(lifetime).filter(([, seconds]) => seconds !== undefined);
        const checked = Object.fromEntries(given.map(([name, seconds]) => [name, whole(name, seconds)]));
        call(() => this.#session.setLifetime(checked));
    }

    /** "Remember me": the session and its cookie last this many seconds after each use, also when the browser is closed. */
    remember(seconds) {
        call(() => this.#session.remember(whole('seconds', seconds)));
    }

    /** Sets what the owner calls the session, such as the name of the device, or with undefined removes it. */
    setLabel(label) {
        call(() => this.#session.setLabel(label === undefined ? undefined : text('a label', label)));
    }

    /** What is known of the session, for its user. Times are in seconds since 1970. */
    get metadata() {
        return numbers(call(() => this.#session.metadata()));
    }

    /** The time at which the session expires unless it is used again. A new lifetime shows after `save`. */
    get expiresAt() {
        return new Date(Number(this.#session.expiresAt()) * 1000);
    }

    /**
     * Stores all changes in one transaction and returns the headers to send with the response: pairs of a name and a
     * value, as `new Response(body, { headers })` takes them. If `headers`, the Headers of a response, are given, it
     * also appends them there: an existing Cache-Control takes precedence, unless a cookie is set. Call it in every
     * request, even one that only reads: it extends the session and the cookie.
     */
    save(headers) {
        return append(call(() => this.#session.save()), headers);
    }

    /**
     * Ends the session immediately and discards unsaved changes. Returns the headers that delete the cookie; none if
     * the visitor cannot have one.
     */
    destroy(headers) {
        return append(call(() => this.#session.destroy()), headers);
    }

    /** Sets a variable unless it is set already, and returns its value. */
    setDefault(key, value) {
        variable(key);
        const stored = toValue(key, value);
        return fromValue(callWithNumber(() => this.#session.setDefault(key, stored)));
    }

    /**
     * Leaves a flash message: a value that waits for the next call of `flashes`, in this request or a later one.
     *
     * Requests that leave messages at the same time keep each other's. At most 100 messages of an application wait; a
     * further one replaces the oldest. They count for the limits of variables and of the session, `clear` removes them,
     * and no other method shows them.
     */
    flash(message) {
        const stored = toValue('flash', message);
        callWithNumber(() => this.#session.flash(stored));
    }

    /**
     * Takes all flash messages of the application, oldest first. They are gone once this is saved; two requests that take
     * them at the same time both get them.
     */
    flashes() {
        return call(() => this.#session.flashes()).map(fromValue);
    }

    /**
     * All variables of the application in another session of the same owner, sorted by name; empty if the owner has no
     * such session. A login takes over with it what the user's session on another device has.
     */
    entriesOf(digest) {
        return call(() => this.#session.entriesOf(text('a digest', digest))).map(([key, value]) => [key, fromValue(value)]);
    }

    /**
     * A token against forged requests, to be put into a form or a header for `checkCsrf`. The text differs with each
     * call. It is valid until the session ends or `regenerateId` is saved; after that call, this returns a token of the
     * new id.
     */
    csrfToken() {
        return call(() => this.#session.csrfToken());
    }

    /**
     * Throws `cross-site` for a request that another site made the visitor's browser send, as `checkSameOrigin` does, and
     * for a request with neither Sec-Fetch-Site nor Origin unless it brings a token of this session. Browsers that are
     * older than these headers are covered too.
     */
    checkCsrf(request, token) {
        if (!isKnown(request) && !call(() => this.#session.checkCsrf(tokenOf(token)))) {
            throw withoutToken();
        }
    }

    /**
     * Whether there are changes that `save` would write: of a variable or message of any application, the owner or the
     * id. That a use of the session extends it is no such change.
     */
    get modified() {
        return this.#session.modified();
    }

    /**
     * Whether a variable, message, token or owner was read or changed since `start`, with any handle. If not, the
     * response does not depend on the visitor's session.
     */
    get accessed() {
        return this.#session.accessed();
    }
}

/** A record whose integers are numbers. */
function numbers(record) {
    const plain = value => (typeof value === 'bigint' ? Number(value) : value);
    return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, plain(value)]));
}

/** Checks a number of seconds, which has to be given. */
function whole(name, seconds) {
    if (!(Number.isInteger(seconds) && seconds >= 0 && seconds < 2 ** 32)) {
        throw new SessionError('invalid-option', `${name} must be a whole number of seconds from 0 to 2 ** 32 - 1`);
    }
    return seconds;
}

/** Appends pairs to Headers, if they are given, merging existing ones. Returns the pairs. */
function append(pairs, headers) {
    const setsCookie = pairs.some(([name]) => name === 'set-cookie');
    for (const [name, value] of headers ? pairs : []) {
        const there = headers.get(name);
        if (there === null || name === 'set-cookie') {
            headers.append(name, value);
        } else if (name === 'cache-control') {
            // No cache may store a response that sets a cookie.
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
 * Manages tables and the sessions of all visitors. Times are in seconds since 1970.
 *
 * The host's configuration grants each application a set of these methods: by default `list`, `get` and `destroy`
 * with an owner, and `destroyOwned`. Every other call throws `denied`.
 */
export class Manager {
    #location;

    constructor({ storage, table } = {}) {
        this.#location = { storage, table };
    }

    /** Creates the tables or migrates those of an older version. Throws an AggregateError of all errors. */
    createTables() {
        call(() => manager.createTables(this.#location));
    }

    /** Removes the tables with all their sessions. Throws an AggregateError of all errors. */
    dropTables() {
        call(() => manager.dropTables(this.#location));
    }

    /** Whether the tables exist. */
    tablesExist() {
        return call(() => manager.tablesExist(this.#location));
    }

    /** Removes at most `limit` expired sessions and returns their number. */
    cleanup(limit = 10_000) {
        return call(() => manager.cleanup(this.#location, limit));
    }

    /** The number of live sessions. */
    count() {
        return Number(call(() => manager.count(this.#location)));
    }

    /** Yields the live sessions, optionally only those of one owner. */
    *list(owner) {
        let after;
        do {
            const page = call(() => manager.list(this.#location, owner, after, 1000));
            yield* page.entries.map(numbers);
            after = page.next;
        } while (after !== undefined);
    }

    /**
     * The session with this digest if it is live, provided that it belongs to `owner` if one is given; else undefined.
     */
    get(digest, owner) {
        const of = owner === undefined ? undefined : text('an owner', owner);
        const entry = call(() => manager.get(this.#location, text('a digest', digest), of));
        return entry && numbers(entry);
    }

    /**
     * Ends the session with this digest, provided that it belongs to `owner` if one is given. Returns whether a live
     * session was ended.
     */
    destroy(digest, owner) {
        const of = owner === undefined ? undefined : text('an owner', owner);
        return call(() => manager.destroy(this.#location, text('a digest', digest), of));
    }

    /** Ends all sessions of an owner except the one with the digest `except`, if given, and returns their number. */
    destroyOwned(owner, except) {
        return Number(call(() => manager.destroyOwned(this.#location, text('an owner', owner), except)));
    }
}

/** Checks a string, because the bindings convert anything to one. */
function text(what, value) {
    if (typeof value !== 'string') {
        throw new SessionError('invalid-name', `${what} must be a string, not ${typeof value}`);
    }
    if (!value.isWellFormed()) {
        throw new SessionError('invalid-name', `${what} contains half of a surrogate pair, which UTF-8 cannot encode`);
    }
    return value;
}

const variable = key => text("a variable's name", key);

const PLAIN = 'a variable is null, a boolean, number, BigInt, string, Uint8Array, array or plain object';
/** The levels of nesting that the modules for all languages can read. */
const DEPTH = 127;

/** Converts plain data to a session value. */
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

/** The engine creates arrays in another realm, where instanceof does not work. */
const isBytes = value => ArrayBuffer.isView(value) && value[Symbol.toStringTag] === 'Uint8Array';

/** Minus zero is a real, as integers have no such value. */
const isInteger = value => Number.isSafeInteger(value) && !Object.is(value, -0);

const sixtyFour = (value, refuse) =>
    BigInt.asIntN(64, value) === value
        ? value
        : refuse('a BigInt must be from -2^63 to 2^63-1; store larger numbers as a string');

const wellFormed = (value, refuse) =>
    value.isWellFormed() ? value : refuse('a string contains half of a surrogate pair, which UTF-8 cannot encode');

/** Unlike JSON.stringify, which drops undefined, writes NaN as null and calls toJSON, this refuses such values. */
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
            return refuse(`undefined cannot be stored: ${PLAIN}; delete() removes a variable`);
    }
    if (depth === DEPTH) {
        return refuse(`arrays and objects are nested deeper than ${DEPTH} levels, or contain themselves`);
    }
    if (Array.isArray(value)) {
        return `[${Array.from(value, one => toJson(one, depth + 1, refuse)).join(',')}]`;
    }
    const prototype = typeof value === 'object' ? Object.getPrototypeOf(value) : undefined;
    if (prototype === Object.prototype || prototype === null) {
        if (Object.getOwnPropertySymbols(value).length > 0) {
            refuse('the keys of an object must be strings, not symbols');
        }
        const fields = Object.entries(value).map(
            ([name, one]) => `${JSON.stringify(wellFormed(name, refuse))}:${toJson(one, depth + 1, refuse)}`,
        );
        return `{${fields.join(',')}}`;
    }
    if (isBytes(value)) {
        return refuse('JSON cannot express bytes inside an array or object; store them in a separate variable');
    }
    return refuse(`a ${value?.constructor?.name ?? typeof value} cannot be stored: ${PLAIN}`);
}

/** Writes a number with a decimal point, so that every language reads it as a real. */
function realToJson(value, refuse) {
    if (!Number.isFinite(value)) {
        return refuse('a number inside an array or object is infinite or NaN, which JSON cannot express');
    }
    if (Object.is(value, -0)) {
        return '-0.0';
    }
    const digits = String(value);
    return /^-?\d+$/.test(digits) ? `${digits}.0` : digits;
}

const optional = value => (value === undefined ? undefined : fromValue(value));

/** Converts a session value to plain data. */
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

/** Converts a BigInt to a number if it is a safe integer. */
const number = integer => (BigInt.asIntN(54, integer) === integer && integer !== -(2n ** 53n) ? Number(integer) : integer);

/** JSON.parse rounds integers beyond the safe ones, so these are read from their source text. */
function revive(_, value, { source }) {
    return typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(source) ? BigInt(source) : value;
}
