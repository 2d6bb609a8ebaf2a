/**
 * The database `network.db`, version 1.
 *
 *   meta      (key, value)                             small facts: name of the default bridge, host id
 *   network   (id, name unique, state, document)       document = Network as JSON
 *   sandbox   (id, state, document)                    document = SandboxRecord as JSON
 *   endpoint  (id, sandbox, network, ipv4, ipv6)       derived from the documents; its constraints make two owners of an
 *   port      (protocol, address, number, sandbox)     address or of a port impossible
 *
 * A document is written in state `creating` before the kernel is touched, and removed after the kernel is clean.
 */
export const schemaVersion = 1;

export const schema = `
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS network (
  id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, state TEXT NOT NULL, document TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sandbox (id TEXT PRIMARY KEY, state TEXT NOT NULL, document TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS endpoint (
  id TEXT PRIMARY KEY,
  sandbox TEXT NOT NULL REFERENCES sandbox(id) ON DELETE CASCADE,
  network TEXT NOT NULL REFERENCES network(id),
  ipv4 TEXT, ipv6 TEXT,
  UNIQUE (network, ipv4), UNIQUE (network, ipv6)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS endpoint_sandbox ON endpoint(sandbox);
CREATE TABLE IF NOT EXISTS port (
  protocol TEXT NOT NULL, address TEXT NOT NULL, number INTEGER NOT NULL,
  sandbox TEXT NOT NULL REFERENCES sandbox(id) ON DELETE CASCADE,
  PRIMARY KEY (protocol, address, number)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS port_sandbox ON port(sandbox);
`;
