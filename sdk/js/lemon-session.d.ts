/** Plain data: what a variable can be. */
export type Value = null | boolean | number | bigint | string | Uint8Array | Real | List | Dictionary;
/** What is inside of an array or object: all but bytes. */
export type Nested = null | boolean | number | bigint | string | Real | List | Dictionary;
export interface List extends ReadonlyArray<Nested> {}
export interface Dictionary {
    readonly [name: string]: Nested;
}

/** A number that is stored as a real though it is whole. */
declare class Real {
    private constructor();
    readonly value: number;
}
/** A number that is stored as a real though it is whole: real(1) is 1.0. */
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

/** What went wrong: `code` for programs, `status` to answer the request with, the message for people. */
export class SessionError extends Error {
    constructor(code: Code, text?: string);
    readonly code: Code;
    readonly status: number;
}

/** The parameters of `start`. What is not given comes from the host's settings. */
export interface Options {
    /** The application whose variables these are, 1 to 255 characters. */
    app?: string;
    /** Use the session of this id. Cookies then play no part. One that is unknown or malformed begins a new session. */
    sessionId?: string;
    /** The store, as the host's configuration names it. */
    storage?: string;
    /** The table the sessions are kept in. */
    table?: string;
    /** The session's idle time in seconds. */
    expires?: number;
    cookie?: Cookie;
    /** Text mixed into new ids. */
    seed?: string;
    /** The probability that this start has expired sessions cleaned up. */
    cleanup?: number;
    /** Have `save` throw `conflict` when somebody else saved this session in the meantime. */
    strict?: boolean;
    /** What caches may do with the response. */
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
    /** In seconds; 0: until the browser closes. */
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

/** Throws `cross-site` for a request with a method such as POST that another site had the visitor's browser send. */
export function checkSameOrigin(request: FetchRequest | IncomingRequest): void;

/** Begins a session, unless the request brings one that exists. */
export function start(request?: FetchRequest | IncomingRequest | null, options?: Options): Session;

/** One application's view of a session: a map of its variables. */
export class Session implements Iterable<[string, Value]> {
    private constructor();
    /** The value of a variable, or undefined. The type is the caller's word for it. */
    get<T = Value>(key: string): T | undefined;
    /** Sets a variable. */
    set(key: string, value: Value): this;
    /** Adds to an integer and returns the sum. Concurrent requests never lose an addition. */
    add(key: string, delta?: number | bigint): number | bigint;
    /** Removes a variable; tells whether it was there. */
    delete(key: string): boolean;
    /** Whether there is such a variable. */
    has(key: string): boolean;
    /** The names of all variables, sorted. */
    keys(): string[];
    /** All variables, sorted by name. */
    entries(): [string, Value][];
    [Symbol.iterator](): Iterator<[string, Value]>;
    /** How many variables there are. */
    readonly size: number;
    /** Reads a variable and removes it: for messages that are shown once. */
    take<T = Value>(key: string): T | undefined;
    /** Removes all of the application's variables. */
    clear(): void;
    /** The session's id. A secret: whoever knows it has the session. */
    readonly id: string;
    /** The SHA-256 digest of the id in hexadecimal. No secret. */
    readonly digest: string;
    /** The application whose variables this handle reads and writes. */
    readonly app: string;
    /** Whether `start` began this session. */
    readonly created: boolean;
    /** The same session, with the variables of another application. */
    application(name: string): Session;
    /** Reserves an application name, and returns the one handle that reads and writes its variables from now on. */
    reserve(name: string, key?: string): Session;
    /** Ends the reservation of a name. */
    release(name: string): void;
    /** Gives the session a new id when it is saved. To be called at each login and each change of rights. */
    regenerateId(): void;
    /** Says whose session this is, or with undefined that it is nobody's. */
    setOwner(owner: string | undefined): void;
    /** Whose session this is, or undefined. */
    readonly owner: string | undefined;
    /** Ends all other live sessions of this session's owner at once, and returns how many. */
    destroyOthers(): number;
    /** When the session expires unless it is used again. */
    readonly expiresAt: Date;
    /**
     * Stores all changes in one transaction, and returns the headers to send with the response. They are also appended to
     * `headers` if given: their own Cache-Control takes precedence, unless a cookie is set.
     */
    save(headers?: ResponseHeaders): Header[];
    /** Ends the session at once and discards all changes. Returns the headers that delete the cookie. */
    destroy(headers?: ResponseHeaders): Header[];
}

/** What is known of one stored session. Times are in seconds since 1970. */
export interface Entry {
    digest: string;
    created: number;
    accessed: number;
    expires: number;
    owner?: string;
    size: number;
}

/** Sets up what sessions are stored in, and manages all of them. */
export class Manager {
    constructor(location?: { storage?: string; table?: string });
    createTables(): void;
    dropTables(): void;
    tablesExist(): boolean;
    cleanup(limit?: number): number;
    count(): number;
    list(owner?: string): Generator<Entry, void>;
    destroy(digest: string, owner?: string): boolean;
    destroyOwned(owner: string, except?: string): number;
}
