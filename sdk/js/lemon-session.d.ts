/** The plain data that a variable can be. */
export type Value = null | boolean | number | bigint | string | Uint8Array | Real | List | Dictionary;
/** The plain data that an array or object can contain: all but bytes. */
export type Nested = null | boolean | number | bigint | string | Real | List | Dictionary;
export interface List extends ReadonlyArray<Nested> {}
export interface Dictionary {
    readonly [name: string]: Nested;
}

/** A number that is stored as a real even if it is whole. */
declare class Real {
    private constructor();
    readonly value: number;
}
/** Stores a number as a real even if it is whole: real(1) is 1.0. */
export function real(value: number): Real;

/** A response header: its name in lower case, and its value. */
export type Header = [name: string, value: string];

export type Code =
    | 'invalid-name'
    | 'invalid-value'
    | 'invalid-option'
    | 'reserved'
    | 'too-large'
    | 'unreadable'
    | 'conflict'
    | 'gone'
    | 'storage'
    | 'denied'
    | 'too-many'
    | 'cross-site';

/** Why a call failed: `code` for programs, `status` as the HTTP status code of the response, the message for people. */
export class SessionError extends Error {
    constructor(code: Code, text?: string);
    readonly code: Code;
    readonly status: number;
}

/** The parameters of `start`. Those that are not given default to the host's settings. */
export interface Options {
    /** The application whose variables the session reads and writes: 1 to 255 characters. */
    app?: string;
    /** Use the session with this id instead of cookies. An unknown or malformed id starts a new session. */
    sessionId?: string;
    /** The name of the store in the host's configuration. */
    storage?: string;
    /** The table that holds the sessions. */
    table?: string;
    /** The idle time in seconds: the session lasts at least this long after its last use. */
    expires?: number;
    cookie?: Cookie;
    /** Text mixed into new ids. It cannot weaken them. */
    seed?: string;
    /** The probability, from 0 to 1, that this start triggers a cleanup of expired sessions. */
    cleanup?: number;
    /** Make `save` throw `conflict` when another request saved this session first. */
    strict?: boolean;
    /** The Cache-Control of the response. */
    cacheLimiter?: 'nocache' | 'private' | 'public' | 'none';
}

export interface Cookie {
    name?: string;
    path?: string;
    domain?: string;
    secure?: 'auto' | 'on' | 'off';
    httpOnly?: boolean;
    sameSite?: 'strict' | 'lax' | 'none';
    partitioned?: boolean;
    /** The lifetime in seconds; 0 means until the browser closes. */
    lifetime?: number;
    comment?: string;
}

/** A request of a fetch event. */
export interface FetchRequest {
    readonly method: string;
    readonly url: string;
    readonly headers: { get(name: string): string | null; has(name: string): boolean };
}

/** An incoming request of wasi:http. */
export interface IncomingRequest {
    headers(): { get(name: string): Uint8Array[] };
    scheme(): { tag: string } | undefined;
    method(): { tag: string; val?: string };
    authority(): string | undefined;
}

/** The Headers of a response. */
export interface ResponseHeaders {
    get(name: string): string | null;
    set(name: string, value: string): void;
    append(name: string, value: string): void;
}

/** Throws `cross-site` for a request with a method such as POST that another site made the visitor's browser send. */
export function checkSameOrigin(request: FetchRequest | IncomingRequest): void;

/** Starts the session that the request's cookie names, or a new one. */
export function start(request?: FetchRequest | IncomingRequest | null, options?: Options): Session;

/** One application's view of a session: a map of its variables. */
export class Session implements Iterable<[string, Value]> {
    private constructor();
    /** The value of a variable, or undefined if it is not set. The type `T` is not checked. */
    get<T = Value>(key: string): T | undefined;
    /** Sets a variable. */
    set(key: string, value: Value): this;
    /** Adds to an integer and returns the sum. No addition is lost to a concurrent request. */
    add(key: string, delta?: number | bigint): number | bigint;
    /** Removes a variable and returns whether it was set. */
    delete(key: string): boolean;
    /** Whether a variable is set. */
    has(key: string): boolean;
    /** The names of all variables, sorted. */
    keys(): string[];
    /** All variables, sorted by name. */
    entries(): [string, Value][];
    [Symbol.iterator](): Iterator<[string, Value]>;
    /** The number of variables. */
    readonly size: number;
    /** Reads a variable and removes it: for messages that are shown once. */
    take<T = Value>(key: string): T | undefined;
    /** Removes all of the application's variables. */
    clear(): void;
    /** The session's id. It is a secret: a client that sends it has the session. */
    readonly id: string;
    /** The SHA-256 digest of the id in hexadecimal. Not a secret. */
    readonly digest: string;
    /** The application whose variables this handle reads and writes. */
    readonly app: string;
    /** Whether this `start` created the session. */
    readonly created: boolean;
    /** The same session, with the variables of another application. */
    application(name: string): Session;
    /**
     * Reserves an application name and returns the only handle that can access its variables. With `secret` it can be
     * reserved again.
     */
    reserve(name: string, secret?: string): Session;
    /** Ends the reservation of a name. */
    release(name: string): void;
    /** Rotates the session's id when it is saved. Call this at each login and each change of privileges. */
    regenerateId(): void;
    /** Sets the session's owner, usually the user who logged in, or with undefined removes it. */
    setOwner(owner: string | undefined): void;
    /** The session's owner, or undefined. */
    readonly owner: string | undefined;
    /** Ends all other live sessions of this session's owner immediately and returns their number. */
    destroyOthers(): number;
    /**
     * Notes that the owner has logged in, now and by this method, such as 'password', and rotates the session's id when it is
     * saved. Call this at each login, and each time that the owner has proved again who it is. With the setting `max-sessions`, the
     * save ends the owner's session whose login is the oldest, or throws `too-many`, if the owner has too many.
     */
    authenticate(owner: string, method: string): void;
    /** Whether the owner has logged in within the last `seconds`. */
    freshWithin(seconds: number): boolean;
    /** Sets how long the session lasts. This is stored with the session and applies to all later requests. */
    setLifetime(lifetime?: Lifetime): void;
    /** "Remember me": the session and its cookie last this many seconds after each use. */
    remember(seconds: number): void;
    /** Sets what the owner calls the session, or with undefined removes it. */
    setLabel(label: string | undefined): void;
    /** What is known of the session, for its user. */
    readonly metadata: Metadata;
    /** The time at which the session expires unless it is used again. A new lifetime shows after `save`. */
    readonly expiresAt: Date;
    /**
     * Stores all changes in one transaction and returns the headers to send with the response. If `headers` are given,
     * it also appends them there: an existing Cache-Control takes precedence, unless a cookie is set.
     */
    save(headers?: ResponseHeaders): Header[];
    /** Ends the session immediately and discards unsaved changes. Returns the headers that delete the cookie. */
    destroy(headers?: ResponseHeaders): Header[];
    /** Sets a variable unless it is set already, and returns its value. The type `T` is not checked. */
    setDefault<T extends Value = Value>(key: string, value: T): T;
    /** Leaves a flash message: a value that waits for the next call of `flashes`. At most 100 of an application wait. */
    flash(message: Value): void;
    /** Takes all flash messages of the application, oldest first. The type `T` is not checked. */
    flashes<T = Value>(): T[];
    /** All variables of the application in another session of the same owner, sorted by name. */
    entriesOf(digest: string): [string, Value][];
    /** A token against forged requests, for `checkCsrf`. */
    csrfToken(): string;
    /**
     * Throws `cross-site` for a forged request, as `checkSameOrigin` does, and for one with neither Sec-Fetch-Site nor
     * Origin unless it brings a token of this session.
     */
    checkCsrf(request: FetchRequest | IncomingRequest, token?: string | null): void;
    /** Whether there are changes that `save` would write. */
    readonly modified: boolean;
    /** Whether anything of the session was read or changed since `start`. */
    readonly accessed: boolean;
}

/** How long a session lasts, in seconds. What is not given is as the host's settings say. */
export interface Lifetime {
    /** The idle time. */
    expires?: number;
    /** The time from now after which the session ends however often it is used. */
    maxLifetime?: number;
    /** The lifetime of the cookie; 0 means until the browser closes. It follows `expires` if only that is given. */
    cookie?: number;
}

/** What is known of a session, for its user. Times are in seconds since 1970. */
export interface Metadata {
    created: number;
    accessed: number;
    absoluteExpiry?: number;
    authenticatedAt?: number;
    method?: string;
    label?: string;
    /** The client's address when the session began or its owner logged in, if the site keeps it. */
    address?: string;
    /** The client's `User-Agent` then, if the site keeps it. */
    userAgent?: string;
}

/** A stored session without its variables. Times are in seconds since 1970, the size is in bytes. */
export interface Entry {
    digest: string;
    created: number;
    accessed: number;
    expires: number;
    owner?: string;
    size: number;
    /** This and the following are told by `get`, and by a list of one owner's sessions. */
    authenticatedAt?: number;
    method?: string;
    label?: string;
    /** The client's address when the session began or its owner logged in, if the site keeps it. */
    address?: string;
    /** The client's `User-Agent` then, if the site keeps it. */
    userAgent?: string;
}

/** Manages tables and the sessions of all visitors. */
export class Manager {
    constructor(location?: { storage?: string; table?: string });
    createTables(): void;
    dropTables(): void;
    tablesExist(): boolean;
    cleanup(limit?: number): number;
    count(): number;
    list(owner?: string): Generator<Entry, void>;
    get(digest: string, owner?: string): Entry | undefined;
    destroy(digest: string, owner?: string): boolean;
    destroyOwned(owner: string, except?: string): number;
}
