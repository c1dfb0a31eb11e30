import { SessionError } from '../dist/sdk.js';
import { checkSettings } from './provider.js';

const PREFIX = 'LEMON_SESSION_';

/** Options of `Sessions` that are not settings of `lemon.ini`. */
const OWN = ['storage', 'threads', 'instances', 'log'];

/** The variable of a provider's environment for a path of options: LEMON_SESSION_COOKIE_HTTP_ONLY for cookie.httpOnly. */
const variable = path => PREFIX + path.join('_').replace(/[A-Z]/g, letter => `_${letter}`).toUpperCase();

/**
 * The settings as a provider's environment, which is how one reads and checks them: the same keys, values and messages as in
 * `lemon.ini`.
 */
export function toEnvironment({ storage, reserved, ...options }) {
    const environment = {};
    const paths = new Map();
    const add = (path, value) => {
        if (value === undefined || value === null) {
            return;
        }
        const name = variable(path);
        paths.set(name, path.join('.'));
        if (typeof value === 'object' && path.length === 1) {
            for (const [key, inner] of Object.entries(value)) {
                add([...path, key], inner);
            }
        } else if (['string', 'number', 'boolean'].includes(typeof value)) {
            environment[name] = String(value);
        } else {
            throw new SessionError('invalid-option', `${path.join('.')} is a string, number or boolean, not ${typeof value}`);
        }
    };
    if (options.manager !== undefined) {
        throw new SessionError('invalid-option', 'manager: a server may call all of the manager');
    }
    for (const [key, value] of Object.entries(options)) {
        if (!OWN.includes(key)) {
            add([key], value);
        }
    }
    if (reserved) {
        add(['reserved'], Object.entries(reserved).map(([name, hash]) => `${name}=${hash}`).join(','));
    }
    const { url, ...ofStore } = locate(storage);
    add(['storage'], url);
    for (const [key, value] of Object.entries(ofStore)) {
        add(['storage', key], Array.isArray(value) ? value.join(',') : value);
    }
    return { environment, paths };
}

/** The URL of a store with its options. */
export function locate(storage) {
    const located = typeof storage === 'string' ? { url: storage } : storage;
    if (typeof located?.url !== 'string') {
        const urls = 'sqlite:PATH, files:DIRECTORY, redis://HOST';
        throw new SessionError('invalid-option', `storage is a storage URL (${urls}), an object with one as url, or a store`);
    }
    return located;
}

/** Checks settings and completes them with their defaults. */
export async function complete(options) {
    const { environment, paths } = toEnvironment(options);
    // Whether a store can be opened is checked when it is.
    const settings = Object.entries(environment).filter(([name]) => !name.startsWith(`${PREFIX}STORAGE`));
    const { defaults, mistakes } = await checkSettings(Object.fromEntries(settings));
    if (mistakes !== undefined) {
        throw new SessionError('invalid-option', inOptions(mistakes, paths));
    }
    return { defaults, environment };
}

/** Names options in place of a provider's variables. */
const inOptions = (text, paths) => text.replace(/\bLEMON_SESSION_\w+/g, name => paths.get(name) ?? camelCase(name));

function camelCase(name) {
    const path = name.slice(PREFIX.length).replace(/^(COOKIE|LIMITS)_/, '$1.').toLowerCase();
    return path.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
}
