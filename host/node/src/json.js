// JSON whose reviver learns the source text of a number, as today's engines tell it and Node 20 does not. The SDK reads
// integers beyond the safe ones from it.

const { parse, stringify } = globalThis.JSON;

let tells = false;
parse('1', (_, value, context) => {
    tells = context?.source === '1';
    return value;
});

/** A string, or a number. */
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g;
/** A mark that no stored text contains. */
const MARK = crypto.randomUUID();

function parseWithSource(text, revive) {
    if (!/\d{16}/.test(text)) {
        return parse(text);
    }
    const marked = text.replace(TOKEN, token =>
        /^-?\d+$/.test(token) && !Number.isSafeInteger(Number(token)) ? `"${MARK}${token}"` : token,
    );
    return parse(marked, (key, value) => {
        if (typeof value === 'string' && value.startsWith(MARK)) {
            const source = value.slice(MARK.length);
            return revive(key, Number(source), { source });
        }
        return value;
    });
}

export const JSON = { parse: tells ? parse : parseWithSource, stringify };
