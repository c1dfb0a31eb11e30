const STARTS = ['writeHead', 'flushHeaders', 'write', 'end'];

/**
 * Calls `save` before the first byte of a response is sent. What starts the response waits for it. If it fails, nothing of the
 * response is sent, and `next` gets the error, with a response that has not started.
 *
 * The functions stay wrapped, because others may have wrapped them again.
 */
export function beforeResponse(response, save, next) {
    const originals = Object.fromEntries(STARTS.map(name => [name, response[name]]));
    const send = (name, args) => originals[name].apply(response, args);
    // The calls that wait: undefined before the response starts.
    let waiting;
    let state = 'before';

    const open = () => {
        state = 'open';
        const calls = waiting;
        waiting = undefined;
        for (const [name, args] of calls) {
            send(name, args);
        }
        if (calls.some(([name]) => name === 'write') && !response.writableNeedDrain && !response.writableEnded) {
            response.emit('drain');
        }
    };
    const fail = error => {
        // What the handler still writes in this turn is part of the response that is not sent.
        state = 'refused';
        waiting = undefined;
        process.nextTick(() => {
            state = 'failed';
            next(error);
        });
    };
    const start = () => {
        waiting = [];
        state = 'waiting';
        let saving;
        try {
            saving = save();
        } catch (error) {
            return fail(error);
        }
        if (saving) {
            saving.then(open, fail);
        } else {
            state = 'open';
        }
    };
    const dropped = name => (name === 'write' ? false : response);

    for (const name of STARTS) {
        response[name] = (...args) => {
            let rest = args;
            if (name === 'writeHead' && state !== 'open') {
                rest = applyHead(response, args);
            }
            if (state === 'before') {
                start();
            }
            switch (state) {
                case 'waiting':
                    if (!waiting.some(([name]) => name === 'end')) {
                        waiting.push([name, rest]);
                    }
                    return dropped(name);
                case 'refused':
                    return dropped(name);
                case 'failed':
                    // An error handler has answered; a handler that goes on writing must not fail for that.
                    return response.writableEnded ? dropped(name) : send(name, rest);
                default:
                    return send(name, rest);
            }
        };
    }
}

/** Sets the headers that writeHead is given, so that those of the session are added to them. Returns the other arguments. */
function applyHead(response, [status, ...rest]) {
    const reason = typeof rest[0] === 'string' ? [rest.shift()] : [];
    const [headers] = rest;
    if (Array.isArray(headers)) {
        const pairs = Array.isArray(headers[0]) ? headers : Array.from({ length: headers.length / 2 }, (_, i) => headers.slice(2 * i, 2 * i + 2));
        const names = new Set();
        for (const [name, value] of pairs) {
            const lower = String(name).toLowerCase();
            response[names.has(lower) ? 'appendHeader' : 'setHeader'](name, value);
            names.add(lower);
        }
    } else {
        for (const [name, value] of Object.entries(headers ?? {})) {
            response.setHeader(name, value);
        }
    }
    return [status, ...reason];
}
