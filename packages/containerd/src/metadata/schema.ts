/**
 * The schema of containerd's metadata, as text. One SQLite database, `<root>/meta.db`, WAL, owned by one process.
 *
 * A record is the message of the API (`containers.Container`, `images.Image` …) in its wire encoding, so that what a client
 * stored comes back byte for byte, unknown `Any` payloads included. Columns beside it exist only where a query or the
 * garbage collector needs them.
 *
 *   namespaces(name, labels)                       names that were created or labelled explicitly
 *   records(kind, namespace, key, record)          kind = container | image | lease | sandbox
 *   blobs(namespace, digest, record)               which namespace sees which blob; record = content.Info
 *   ingests(namespace, ref, expected, started_ms)  open writes; the bytes are in the content store under `<ns>/<ref>`
 *   snapshots(namespace, snapshotter, key, backend, parent, record)
 *                                                  names of a namespace for snapshots of the back end; record = Info
 *   lease_resources(namespace, lease, type, resource)
 *   sequence(next)                                 numbers for names below that are not taken yet
 *   snapshot_commits(namespace, snapshotter, key, name, backend, labels, lease)
 *                                                  a commit under way: `key` is about to become `name`, below `backend`
 *
 * Beside it stands `meta.journal`, from which a lost database is made again (journal.ts, rebuild.ts).
 *
 * The text below is the schema: version n of it is what the first n steps make. A step that has been released never changes.
 */
const version1 = `
  CREATE TABLE namespaces (name TEXT PRIMARY KEY, labels TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE records (
    kind TEXT NOT NULL, namespace TEXT NOT NULL, key TEXT NOT NULL, record BLOB NOT NULL,
    PRIMARY KEY (kind, namespace, key)) STRICT, WITHOUT ROWID;
  CREATE TABLE blobs (
    namespace TEXT NOT NULL, digest TEXT NOT NULL, record BLOB NOT NULL,
    PRIMARY KEY (namespace, digest)) STRICT, WITHOUT ROWID;
  CREATE INDEX blobs_by_digest ON blobs (digest);
  CREATE TABLE ingests (
    namespace TEXT NOT NULL, ref TEXT NOT NULL, expected TEXT NOT NULL, started_ms INTEGER NOT NULL,
    PRIMARY KEY (namespace, ref)) STRICT, WITHOUT ROWID;
  CREATE TABLE snapshots (
    namespace TEXT NOT NULL, snapshotter TEXT NOT NULL, key TEXT NOT NULL,
    backend TEXT NOT NULL, parent TEXT NOT NULL, record BLOB NOT NULL,
    PRIMARY KEY (namespace, snapshotter, key), UNIQUE (snapshotter, backend)) STRICT, WITHOUT ROWID;
  CREATE TABLE lease_resources (
    namespace TEXT NOT NULL, lease TEXT NOT NULL, type TEXT NOT NULL, resource TEXT NOT NULL,
    PRIMARY KEY (namespace, lease, type, resource)) STRICT, WITHOUT ROWID;
  CREATE TABLE sequence (next INTEGER NOT NULL) STRICT;
  INSERT INTO sequence VALUES (1);
`;

const version2 = `
  CREATE TABLE snapshot_commits (
    namespace TEXT NOT NULL, snapshotter TEXT NOT NULL, key TEXT NOT NULL,
    name TEXT NOT NULL, backend TEXT NOT NULL, labels TEXT NOT NULL, lease TEXT NOT NULL,
    PRIMARY KEY (namespace, snapshotter, key)) STRICT, WITHOUT ROWID;
`;

export const migrations: readonly string[] = [version1, version2];
