import { EventEmitter, once } from 'node:events';

import express from 'express';

import { session } from '../src/index.js';

/** A site with what the tests need. */
export function site(options) {
    const app = express();
    const middleware = session(options);
    app.use(middleware);
    app.get('/', (request, response) => {
        response.send(`visit ${request.session.add('visits')}, new ${request.session.created}`);
    });
    app.get('/set/:name/:value', (request, response) => {
        request.session.set(request.params.name, request.params.value);
        response.send('set');
    });
    // Changes the session, and is answered when the test opens the gate.
    const gate = new EventEmitter();
    app.get('/hold/:name', async (request, response) => {
        request.session.set(request.params.name, true);
        const opened = once(gate, 'open');
        gate.emit('held');
        await opened;
        response.send('held');
    });
    app.get('/all', (request, response) => response.json(Object.fromEntries(request.session)));
    app.get('/login/:user', (request, response) => {
        request.session.regenerateId();
        request.session.setOwner(request.params.user);
        request.session.set('user', request.params.user);
        response.redirect('/');
    });
    app.get('/logout', async (request, response) => {
        await request.session.destroy();
        response.send('logged out');
    });
    app.get('/everywhere', async (request, response) => {
        response.send(`ended ${await request.session.destroyOthers()}`);
    });
    app.use((error, request, response, next) => {
        if (response.headersSent) {
            return next(error);
        }
        response.status(error.status ?? 500).send(`${error.code}: ${error.message}`);
    });
    return { app, sessions: middleware.sessions, gate };
}
