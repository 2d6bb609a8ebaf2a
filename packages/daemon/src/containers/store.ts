/** All containers: memory for reading, SQLite for survival. Names are unique by the database's own constraint. */
import type { DatabaseSync } from 'node:sqlite';
import { BoxshipError } from '@boxship/base';
import type { Container, ContainerRecord } from './model.ts';
import { Waiters } from './waiters.ts';

export interface ContainerStore {
  /** Newest first. */
  list(): readonly Container[];
  /** By full id, name, unique id prefix. @throws notFound, invalidArgument when ambiguous */
  get(idOrName: string): Container;
  byId(id: string): Container | undefined;
  /** As {@link get}, but undefined when there is none. @throws invalidArgument when ambiguous */
  find(idOrName: string): Container | undefined;
  /** @throws conflict when the name is taken */
  add(record: ContainerRecord): Container;
  /** Writes the record. */
  save(container: Container): void;
  /** @throws conflict when the name is taken */
  rename(container: Container, name: string): void;
  remove(container: Container): void;
}

export function createContainerStore(database: DatabaseSync): ContainerStore {
  const insert = database.prepare('INSERT INTO containers (id, name, record) VALUES (?, ?, ?)');
  const update = database.prepare('UPDATE containers SET name = ?, record = ? WHERE id = ?');
  const remove = database.prepare('DELETE FROM containers WHERE id = ?');
  const byId = new Map<string, Container>();
  const byName = new Map<string, Container>();

  const conflict = (name: string, holder: string) =>
    new BoxshipError(
      'conflict',
      `Conflict. The container name "/${name}" is already in use by container "${holder}". You have to remove (or rename) that container to be able to reuse that name.`,
    );
  const hold = (record: ContainerRecord): Container => {
    const container: Container = {
      id: record.id,
      record,
      waiters: new Waiters(),
      attachments: new Set(),
      stdin: undefined,
      hasTaskExited: false,
      hasOomEvent: false,
      pendingRestart: undefined,
      restartDelayMs: 0,
      healthMonitor: undefined,
      health: undefined,
    };
    byId.set(record.id, container);
    byName.set(record.name, container);
    return container;
  };

  for (const row of database.prepare('SELECT record FROM containers').all())
    hold(JSON.parse(String(row['record'])) as ContainerRecord);

  return {
    list: () => [...byId.values()].sort((a, b) => (a.record.created < b.record.created ? 1 : -1)),
    byId: (id) => byId.get(id),
    get(idOrName) {
      const container = this.find(idOrName);
      if (container === undefined) throw new BoxshipError('notFound', `No such container: ${idOrName}`);
      return container;
    },
    find(idOrName) {
      const found = byId.get(idOrName) ?? byName.get(idOrName.startsWith('/') ? idOrName.slice(1) : idOrName);
      if (found !== undefined) return found;
      const matches = /^[0-9a-f]{1,64}$/.test(idOrName) ? [...byId.keys()].filter((id) => id.startsWith(idOrName)) : [];
      if (matches.length > 1)
        throw new BoxshipError('invalidArgument', `multiple IDs found with provided prefix: ${idOrName}`);
      const [only] = matches;
      return only === undefined ? undefined : byId.get(only);
    },
    add(record) {
      const holder = byName.get(record.name);
      if (holder !== undefined) throw conflict(record.name, holder.id);
      insert.run(record.id, record.name, JSON.stringify(record));
      return hold(record);
    },
    save(container) {
      update.run(container.record.name, JSON.stringify(container.record), container.id);
    },
    rename(container, name) {
      const holder = byName.get(name);
      if (holder !== undefined) throw conflict(name, holder.id);
      byName.delete(container.record.name);
      container.record.name = name;
      byName.set(name, container);
      update.run(name, JSON.stringify(container.record), container.id);
    },
    remove(container) {
      remove.run(container.id);
      byId.delete(container.id);
      byName.delete(container.record.name);
    },
  };
}
