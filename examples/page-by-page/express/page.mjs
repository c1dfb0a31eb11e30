// The page on express.
import { isDeepStrictEqual } from 'node:util';

import express from 'express';
import { checkSameOrigin, session } from 'lemon-session-host';

import { VALUES } from './values.mjs';

const { STORAGE = 'redis://127.0.0.1:6379', TABLE = 'Session', PORT = '8001' } = process.env;

const app = express();
app.use(express.urlencoded({ extended: false }));
app.use((request, response, next) => {
    checkSameOrigin(request);
    next();
});
app.use(session({
    storage: { url: STORAGE, table: TABLE },
    app: 'shop',
    expires: '1h',
    lazy: true,
    cookie: { name: 'visitor' },
}));

app.get('/', ({ session }, response) => {
    const lines = session.entries().map(([name, value]) => `${name}: ${value}\n`);
    response.type('text').send(session.created ? 'no session\n' : lines.join(''));
});

app.post('/set', ({ session, body }, response) => {
    session.set(body.name, body.value);
    response.send('set\n');
});

app.post('/login', ({ session, body }, response) => {
    session.regenerateId();
    session.setOwner(body.user);
    session.set('user', body.user);
    response.send(`welcome, ${body.user}\n`);
});

app.post('/logout', async ({ session }, response) => {
    await session.destroy();
    response.send('goodbye\n');
});

app.post('/values', ({ session }, response) => {
    Object.entries(VALUES).forEach(([name, value]) => session.set(name, value));
    response.send('set\n');
});

app.get('/values', ({ session }, response) => {
    const different = Object.keys(VALUES).filter(name => !isDeepStrictEqual(session.get(name), VALUES[name]));
    response.send(`different: ${different.join(' ') || 'none'}\n`);
});

app.use((error, request, response, next) => {
    if (response.headersSent) {
        return next(error);
    }
    response.status(error.status ?? 500).type('text').send(`${error.message}\n`);
});

const server = app.listen(Number(PORT), '127.0.0.1', () => {
    console.log(`express on http://127.0.0.1:${server.address().port}`);
});
