// express and express-session, on SQLite through better-sqlite3. One process for each processor.
const cluster = require("node:cluster");
const [port, file, processes] = process.argv.slice(2);

const page = (variable1, count) =>
  `<!DOCTYPE html>\n<title>Counter</title>\n<p>variable1: ${variable1}</p>\n<p>count: ${count}</p>\n`;

if (cluster.isPrimary) {
  // The store creates its table when it is opened: once, before the others.
  open();
  for (let i = 0; i < Number(processes); i += 1) cluster.fork();
} else {
  const express = require("express");
  const app = express();
  app.disable("x-powered-by");
  app.get("/none", (request, response) => response.send(page("nobody", 0)));
  app.use(
    require("express-session")({
      store: open(),
      secret: "a secret of this measurement alone",
      resave: false,
      saveUninitialized: false,
      cookie: { maxAge: 1440 * 1000, sameSite: "lax" },
    }),
  );
  app.get("/", (request, response) => {
    const { session } = request;
    session.variable1 ??= "Python Rules!";
    session.count = (session.count ?? 0) + 1;
    response.send(page(session.variable1, session.count));
  });
  app.get("/read", (request, response) => response.send(page(request.session.variable1 ?? "not set", 0)));
  app.listen(Number(port), "127.0.0.1");
}

function open() {
  const client = new (require("better-sqlite3"))(file);
  client.pragma("journal_mode = WAL");
  client.pragma("synchronous = NORMAL");
  const Store = require("better-sqlite3-session-store")(require("express-session"));
  return new Store({ client });
}
