// The pages on express and express-session, with connect-redis. node-redis finds the primary through the sentinels.
const express = require("express");
const session = require("express-session");
const { RedisStore } = require("connect-redis");
const { createSentinel } = require("redis");

const [port, ...sentinels] = process.argv.slice(2).map(Number);
const socket = { connectTimeout: 1000 };

/** The variables, one a line. */
function variables(session) {
  const set = ["a", "b", "count", "user"].filter((name) => session[name] !== undefined);
  return set.map((name) => `${name}=${session[name]}\n`).join("");
}

/** Answers when the save is done: without this, express-session sends the answer also if the save fails. */
function save(request, response, next, text) {
  request.session.save((error) => (error ? next(error) : response.send(text())));
}

async function main() {
  const client = createSentinel({
    name: "main",
    sentinelRootNodes: sentinels.map((port) => ({ host: "127.0.0.1", port })),
    commandOptions: { timeout: 1000 },
    nodeClientOptions: { socket },
    sentinelClientOptions: { socket },
    masterPoolSize: 4,
  });
  client.on("error", (error) => console.error(`${error}`));
  await client.connect();

  const app = express();
  app.use(
    session({
      store: new RedisStore({ client }),
      secret: "a secret of this test alone",
      resave: false,
      saveUninitialized: false,
      cookie: { maxAge: 1440 * 1000, sameSite: "lax" },
    }),
  );
  const wait = (request) => new Promise((done) => setTimeout(done, Number(request.query.wait ?? 0)));
  app.get("/login", (request, response, next) => {
    request.session.user = 1;
    save(request, response, next, () => variables(request.session));
  });
  app.get("/add", async (request, response, next) => {
    const count = request.session.count ?? 0;
    await wait(request);
    request.session.count = count + 1;
    save(request, response, next, () => variables(request.session));
  });
  // Answers with what it found.
  app.get("/set", async (request, response, next) => {
    const found = variables(request.session);
    await wait(request);
    request.session[request.query.name] = Number(request.query.value);
    save(request, response, next, () => found);
  });
  app.get("/read", (request, response) => response.send(variables(request.session)));
  app.get("/logout", (request, response, next) => {
    request.session.destroy((error) => (error ? next(error) : response.send("")));
  });
  app.listen(port, "127.0.0.1");
}

main();
