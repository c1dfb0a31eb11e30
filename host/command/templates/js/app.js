// A page with a login, a form, and messages that are shown once.
//
// Every change is a POST that is answered with a redirect to the page, so that a reload repeats nothing.

import { SessionError, checkSameOrigin, start } from './lemon-session.js';
import * as page from './page.js';

const LONGEST_NAME = 100;
const LONGEST_NOTE = 200;
const MOST_NOTES = 20;

addEventListener('fetch', event => event.respondWith(answer(event.request)));

async function answer(request) {
    try {
        return await respond(request);
    } catch (error) {
        if (!(error instanceof SessionError)) {
            throw error;
        }
        console.error(error.message);
        return html(error.status, [], page.error(error.message));
    }
}

async function respond(request) {
    // A form on another site could log the visitor in under a name that is not the visitor's own.
    checkSameOrigin(request);
    const method = request.method === 'HEAD' ? 'GET' : request.method;
    switch (`${method} ${new URL(request.url).pathname}`) {
        case 'GET /':
            return show(start(request));
        case 'POST /login':
            return login(start(request), await field(request, 'name'));
        case 'POST /notes':
            return note(start(request), await field(request, 'note'));
        case 'POST /logout':
            return redirect(start(request).destroy());
        default:
            return html(404, [], page.error('There is no such page.'));
    }
}

function show(session) {
    const shown = page.page(session.get('user'), session.get('notes') ?? [], session.flashes());
    return html(200, session.save(), shown);
}

function login(session, name) {
    if (name === '' || [...name].length > LONGEST_NAME) {
        session.flash(`Enter a name of 1 to ${LONGEST_NAME} characters.`);
    } else {
        // Any name is accepted here: check a password before this.
        session.authenticate(name, 'name');
        session.set('user', name);
        session.flash(`Welcome, ${name}.`);
    }
    return redirect(session.save());
}

function note(session, text) {
    if (!session.has('user')) {
        session.flash('Log in first.');
    } else if (text === '' || [...text].length > LONGEST_NOTE) {
        session.flash(`Enter a note of 1 to ${LONGEST_NOTE} characters.`);
    } else {
        session.set('notes', [...(session.get('notes') ?? []), text].slice(-MOST_NOTES));
        session.flash('Your note is saved.');
    }
    return redirect(session.save());
}

/** A field of the form without control characters, which no name may contain; empty if the form does not have it. */
async function field(request, name) {
    const value = new URLSearchParams(await request.text()).get(name) ?? '';
    return value.replace(/[\0-\x1f\x7f-\x9f]/g, ' ').trim();
}

function html(status, headers, body) {
    return new Response(body, { status, headers: [...headers, ['content-type', 'text/html; charset=utf-8']] });
}

function redirect(headers) {
    return new Response(null, { status: 303, headers: [...headers, ['location', '/']] });
}
