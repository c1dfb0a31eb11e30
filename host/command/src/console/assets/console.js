// The charts of the overview. The server sends the last hour first, then a point every few seconds.

"use strict";

const POINTS = 720;
const MILLISECONDS = "milliseconds";
const PER_MINUTE = "per minute";

// Title, unit, and the series: the name of the field, and its label.
const CHARTS = [
    ["Live sessions", "in the store", [["live", "live"], ["backlog", "expired, to be cleaned up"]]],
    ["Session starts", PER_MINUTE, [["started", "started"]]],
    ["Saves", PER_MINUTE, [
        ["committed", "committed"], ["conflict", "conflict"], ["gone", "session gone"], ["failed", "failed"],
        ["abandoned", "abandoned"], ["too_large", "too large"], ["too_many", "too many"],
        ["too_many_owned", "too many of the owner"],
    ]],
    ["Refused ids", PER_MINUTE, [["unknown", "unknown"], ["ended", "ended"], ["expired", "expired"]]],
    ["Time of a request", MILLISECONDS, [["p50", "50 % take at most"], ["p95", "95 %"], ["p99", "99 %"]]],
    ["Time to load a session from the store", MILLISECONDS, [["load", "95 % take at most"]]],
    ["Failures of the store", PER_MINUTE, [["failures", "failed or abandoned"]]],
    ["Removed by cleanups", PER_MINUTE, [["removed", "removed"]]],
];
const DASHES = [[], [6, 4], [2, 3], [10, 4, 2, 4], [4, 2], [1, 2], [12, 4], [8, 2, 2, 2]];

const now = document.getElementById("now");
const state = document.getElementById("stream");
const section = document.getElementById("charts");

let points = [];
let plots = [];
let source = null;

const format = (value) => (value == null ? "–" : value.toLocaleString("en", { maximumFractionDigits: value < 100 ? 2 : 0 }));
const clock = (seconds, style) => (seconds == null ? "–" : new Date(seconds * 1000).toLocaleTimeString([], { timeStyle: style }));
const short = (value) => value.toLocaleString("en", { notation: "compact" });

function columns(series) {
    return [points.map((point) => point.time), ...series.map(([field]) => points.map((point) => point[field]))];
}

function draw() {
    for (const { plot, watch } of plots) {
        watch.disconnect();
        plot.destroy();
    }
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const font = "12px system-ui, sans-serif";
    const axis = { stroke: colour("--quiet"), font, grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } };
    section.replaceChildren();
    section.hidden = false;
    plots = CHARTS.map(([title, unit, series]) => {
        const figure = document.createElement("figure");
        figure.className = "card";
        const caption = figure.appendChild(document.createElement("figcaption"));
        const small = document.createElement("small");
        small.textContent = unit;
        caption.append(title + " ", small);
        const box = figure.appendChild(document.createElement("div"));
        section.append(figure);
        const options = {
            width: box.clientWidth,
            height: 190,
            scales: { y: { range: (_plot, _min, max) => [0, max > 0 ? max * 1.1 : 1] } },
            axes: [{ ...axis, space: 70, values: (_plot, values) => values.map((value) => clock(value, "short")) }, { ...axis, size: 52, values: (_plot, values) => values.map(short) }],
            cursor: { sync: { key: "console" }, drag: { x: false, y: false } },
            series: [
                { label: "Time", value: (_plot, value) => clock(value, "medium") },
                ...series.map(([, label], i) => ({
                    label, stroke: colour(`--series-${i + 1}`), width: 2, dash: DASHES[i], value: (_plot, value) => format(value),
                    points: { show: false },
                })),
            ],
        };
        const plot = new uPlot(options, columns(series), box);
        const fit = () => { if (plot.width !== box.clientWidth) plot.setSize({ width: box.clientWidth, height: options.height }); };
        const watch = new ResizeObserver(() => requestAnimationFrame(fit));
        watch.observe(box);
        return { plot, series, watch };
    });
}

function update() {
    for (const { plot, series } of plots) {
        plot.setData(columns(series));
    }
}

function listen() {
    source = new EventSource("/console/events");
    source.addEventListener("open", () => { state.textContent = "live"; });
    source.addEventListener("history", (event) => {
        points = JSON.parse(event.data);
        draw();
    });
    source.addEventListener("point", (event) => {
        points.push(JSON.parse(event.data));
        points.splice(0, points.length - POINTS);
        update();
    });
    // The server escapes what it puts into this.
    source.addEventListener("now", (event) => { now.innerHTML = event.data; });
    source.addEventListener("error", () => {
        const isOver = source.readyState === EventSource.CLOSED;
        state.textContent = isOver ? "not live: reload the page, or sign in again" : "not connected: trying again";
    });
}

// A page in the background needs no events, and leaves the place to others.
document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
        source.close();
    } else if (source.readyState === EventSource.CLOSED) {
        listen();
    }
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (plots.length > 0) draw(); });
listen();
