/** A variable of each type. */
export const VALUES = {
    null: null,
    boolean: true,
    integer: 9007199254740993n,
    real: 0.1,
    text: '€ 😀 \0 "',
    bytes: new Uint8Array([0, 255, 128]),
    list: [1, 2.5, 'é', null, [false]],
    map: { large: -9007199254740993n, empty: {} },
};
