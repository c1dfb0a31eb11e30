// A page that remembers its visitor: the example of Python's lemon.session, in TypeScript.

import { type Header, SessionError, checkSameOrigin, start } from './lemon-session.js';

declare const self: ServiceWorkerGlobalScope;

self.addEventListener('fetch', event => event.respondWith(answer(event.request)));

function answer(request: Request): Response {
    try {
        return page(request);
    } catch (error) {
        if (!(error instanceof SessionError)) {
            throw error;
        }
        return new Response(`${error.message}\n`, { status: error.status });
    }
}

function page(request: Request): Response {
    checkSameOrigin(request);
    const session = start(request, { app: 'visits' });
    if (session.created) {
        session.set('variable1', 'Python Rules!');
        return html(session.save(), `<h1>This is your first visit</h1>
<p>Setting variable1 to 'Python Rules!'</p>
<p>Refresh this page…</p>`);
    }
    if (request.method === 'POST') {
        return html(session.destroy(), '<h1>Session Deleted</h1>');
    }
    const variable1 = session.get<string>('variable1') ?? 'not set';
    return html(session.save(), `<h1>Welcome back</h1>
<p>variable1: ${escape(variable1)}</p>
<form method="post"><button>Destroy session</button></form>`);
}

function html(headers: Header[], body: string): Response {
    return new Response(`<!DOCTYPE html>\n<title>Visits</title>\n${body}\n`, {
        headers: [['content-type', 'text/html; charset=utf-8'], ...headers],
    });
}

function escape(text: string): string {
    return text.replace(/[&<>]/g, mark => `&#${mark.charCodeAt(0)};`);
}
