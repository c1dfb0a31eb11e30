const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** The longest time that SQLite waits. */
const LONGEST = 2 ** 31 - 1;

/** A time such as `500ms` or `5s`; a number without a unit is seconds, as in `lemon.ini`. */
export function milliseconds(time, refuse) {
    const [, number, unit = 's'] = /^(\d{1,15})(ms|s|m|h|d)?$/.exec(String(time)) ?? [];
    if (number === undefined) {
        return refuse(`'${time}' is not a time: 500ms, 5s`);
    }
    const found = Number(number) * UNITS[unit];
    return found <= LONGEST ? found : refuse(`'${time}' is more than 24 days`);
}
