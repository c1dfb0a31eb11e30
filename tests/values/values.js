// What tests/tests/languages.rs asks of the JavaScript side: the page of docs/languages.md, where a request comes from,
// reading, changing, refusing, and a session as a map.

import { Manager, SessionError, checkSameOrigin, real, start } from './lemon-session.js';

addEventListener('fetch', event => event.respondWith(answer(event.request)));

function answer(request) {
    const { pathname } = new URL(request.url);
    if (pathname === '/page') {
        return page(request);
    }
    if (pathname === '/same-origin') {
        return sameOrigin(request);
    }
    if (pathname === '/form') {
        return form(request);
    }
    const lines = [];
    const headers = ROUTES[pathname](request, line => lines.push(line)) ?? [];
    return new Response(lines.map(line => `${line}\n`).join(''), { headers });
}

function page(request) {
    const session = start(request, { app: 'visits' });
    session.set('visits', (session.get('visits') ?? 0) + 1);
    const body = `This is your visit no. ${session.get('visits')}\n`;
    return new Response(body, { headers: session.save() });
}

function sameOrigin(request) {
    try {
        checkSameOrigin(request);
        return new Response('from here\n');
    } catch (error) {
        return new Response(`${error.message}\n`, { status: error.status });
    }
}

function show(value) {
    if (value instanceof Uint8Array) {
        return `Uint8Array ${[...value]}`;
    }
    if (typeof value === 'number') {
        return `number ${Object.is(value, -0) ? '-0' : value}`;
    }
    const kind = value === null ? 'null' : typeof value === 'object' ? value.constructor.name : typeof value;
    return `${kind} ${JSON.stringify(value, (_, one) => (typeof one === 'bigint' ? `${one}n` : one))}`;
}

/** All variables, with their types. */
function read(request, say) {
    const session = start(request, { app: 'values' });
    for (const [key, value] of session) {
        say(`${key}: ${show(value)}`);
    }
    return session.save();
}

/** Changes all variables. */
function change(request, say) {
    const session = start(request, { app: 'values' });
    const to = {
        null: value => value,
        boolean: value => !value,
        integer: value => value + 1,
        large: value => value + 1n,
        smallest: value => value,
        real: value => real(value + 1),
        fraction: value => value * 1.5,
        infinity: value => -value,
        nan: value => value,
        'minus-zero': value => value,
        text: value => `${value}!`,
        bytes: value => value.reverse(),
        list: value => [...value, real(3), 2n ** 62n, -0],
        dictionary: value => ({ ...value, added: { by: 'JavaScript' } }),
    };
    for (const [key, value] of session.entries()) {
        session.set(key, to[key](value));
    }
    say('changed');
    return session.save();
}

/** What is no plain data, and why. */
function refuse(request, say) {
    const session = start(request, { app: 'values' });
    const itself = [];
    itself.push(itself);
    let deep = [];
    for (let level = 0; level < 127; level++) {
        deep = [deep];
    }
    const refused = {
        undefined: undefined,
        function: () => 1,
        symbol: Symbol('a'),
        date: new Date(0),
        map: new Map(),
        instance: new (class Cart {})(),
        words: new Uint16Array(1),
        large: 2n ** 63n,
        small: -(2n ** 63n) - 1n,
        surrogate: '\ud800',
        'nested-undefined': { a: undefined },
        hole: [1, , 2],
        'nested-bytes': [new Uint8Array(1)],
        'nested-nan': [NaN],
        'nested-infinity': { a: -Infinity },
        'nested-large': [2n ** 63n],
        'nested-surrogate': ['\udfff'],
        'surrogate-key': { '\ud800': 1 },
        'symbol-key': { [Symbol('a')]: 1 },
        itself,
        deep,
    };
    for (const [key, value] of Object.entries(refused)) {
        attempt(say, () => session.set(key, value));
    }
    attempt(say, () => session.set(1, 1));
    attempt(say, () => session.set('\ud800', 1));
    attempt(say, () => session.set('k'.repeat(33), 1));
    attempt(say, () => session.add('a', 1.5));
    attempt(say, () => start(request, { expire: 60 }));
    attempt(say, () => start(request, { expires: -1 }));
    attempt(say, () => start(request, { app: 1 }));
    attempt(say, () => start(request, { cookie: { httpOnly: 'no' } }));
    attempt(say, () => real('1'));
    session.set('deep-enough', deep[0]);
    say(`stored: ${session.keys()}`);
}

function attempt(say, action) {
    try {
        action();
        say('done');
    } catch (error) {
        say(error instanceof SessionError ? error.message : `no SessionError: ${error}`);
    }
}

/** A session as a map. */
function map(request, say) {
    const session = start(request, { app: 'map', cookie: { name: 'map', sameSite: 'strict' } });
    session.set('b', [1, { c: null }]).set('a', 1);
    say(`created ${session.created}, app ${session.app}, ${session.digest.length} digits`);
    say(`has ${session.has('a')}, ${session.has('x')}; size ${session.size}; ${session.keys()}`);
    say(`get ${JSON.stringify(session.get('b'))}, ${session.get('x')}`);
    say(`add ${session.add('a', 41)}, ${session.add('new')}, ${session.delete('new')}, ${session.delete('new')}`);
    say(`take ${JSON.stringify(session.take('b'))}, ${session.take('b')}`);
    say(`left ${JSON.stringify([...session])}`);
    session.clear();
    const held = session.reserve('held', 'key');
    held.set('secret', true);
    attempt(say, () => session.application('held'));
    held.release('held');
    say(`released ${JSON.stringify(session.application('held').entries())}`);
    session.setOwner('me');
    say(`owner ${session.owner}, expires ${session.expiresAt > new Date()}`);
    const headers = session.save();
    const manager = new Manager();
    say(`managed ${[...manager.list('me')].map(entry => entry.digest === session.digest)}`);
    say(`ended ${session.destroyOthers()} others, ${manager.destroy(session.digest, 'you')}`);
    attempt(say, () => manager.count());
    say(`same ${start(null, { sessionId: session.id, app: 'held' }).get('secret')}`);
    say(`ended ${manager.destroyOwned('me')}`);
    session.set('one', 1);
    attempt(say, () => session.save());
    return headers;
}

/** Defaults, flash messages, changes and the variables of another session. */
function handy(request, say) {
    const session = start(request, { app: 'handy' });
    say(`${session.modified} ${session.accessed}`);
    say(`default ${session.setDefault('a', 1)} ${session.setDefault('a', 2)}`);
    session.flash('saved');
    session.flash({ level: 'error' });
    say(`keys ${session.size}, ${session.modified} ${session.accessed}`);
    session.setOwner('me');
    const headers = session.save();
    say(`saved ${session.modified}`);
    const [first, second] = session.flashes();
    say(`flashes ${first} ${second.level}, then ${session.flashes().length}`);
    const again = start(null, { app: 'handy', sessionId: '' });
    again.setOwner('me');
    say(`of the other ${Object.fromEntries(again.entriesOf(session.digest)).a}`);
    say(`of none ${again.entriesOf('0'.repeat(64)).length}`);
    try {
        again.entriesOf('none');
    } catch (error) {
        say(error.code === 'invalid-name' ? 'InvalidName' : error);
    }
    return headers;
}

/** A form, which needs a token if the request does not tell where it comes from. */
function form(request) {
    const session = start(request, { app: 'form' });
    try {
        if (request.method === 'POST') {
            session.checkCsrf(request, request.headers.get('x-token'));
            return new Response('accepted\n', { headers: session.save() });
        }
        return new Response(`${session.csrfToken()}\n`, { headers: session.save() });
    } catch (error) {
        return new Response(`${error.message}\n`, { status: error.status });
    }
}

/** What is in the cart. Version 2 has a currency. */
function cartOf(session) {
    return { items: [], total: 0, currency: 'EUR', ...session.get('cart') };
}

/** A variable that an older version of the page has set. */
function evolve(request, say) {
    const session = start(request, { app: 'evolve' });
    session.set('cart', { items: ['tea'], total: 2 });
    say(JSON.stringify(cartOf(session)));
    session.set('cart', cartOf(session));
    say(JSON.stringify(session.get('cart')));
}

const ROUTES = { '/read': read, '/change': change, '/refuse': refuse, '/map': map, '/handy': handy, '/evolve': evolve };
