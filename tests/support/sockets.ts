/**
 * Servers on free loopback ports, as promises.
 *
 * @module
 */
import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";

/** Listens on the port, or on a free one, and says which. */
export async function listen(server: Server, port = 0): Promise<number> {
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** Resolves when it no longer listens and its last connection is gone. */
export function close(server: Server): Promise<void> {
  return new Promise((resolve, reject) => server.close((error) => error === undefined ? resolve() : reject(error)));
}

/** A port that nothing listens on; for a server that is started later or more than once. */
export async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  await close(server);
  return port;
}
