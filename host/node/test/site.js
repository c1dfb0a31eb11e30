// The site of the tests in a process of its own: `node site.js '{"storage": …}'`.
import { once } from 'node:events';

import { site } from './pages.js';

const server = site(JSON.parse(process.argv[2])).app.listen(Number(process.argv[3] ?? 0), '127.0.0.1');
await once(server, 'listening');
console.log(`http://127.0.0.1:${server.address().port}`);
