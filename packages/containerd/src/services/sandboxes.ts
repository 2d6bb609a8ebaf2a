/** `containerd.services.sandbox.v1.Store`: records of sandboxes, no processes. */
import { nowTimestamp, type Sandbox, type ServiceHandlers, type sandbox as wire } from '@boxship/api';
import { BoxshipError, checkIdentifier, parseFilters } from '@boxship/base';
import { checkLabels } from '@boxship/image-store';
import type { Database } from '../metadata/database.ts';
import { lookupLabel, refuseMaskPath, updateLabels } from '../metadata/labels.ts';
import type { RecordTable } from '../metadata/record-table.ts';

export function sandboxesService(options: {
  database: Database;
  table: RecordTable<Sandbox>;
}): ServiceHandlers<typeof wire.StoreService> {
  const { database, table } = options;
  const get = (namespace: string, id: string): Sandbox => {
    const found = table.get(namespace, id);
    if (found === undefined) throw new BoxshipError('notFound', `sandbox "${id}"`);
    return found;
  };
  return {
    async create({ sandbox }, { namespace }) {
      if (sandbox === undefined) throw new BoxshipError('invalidArgument', 'sandbox must be set');
      checkIdentifier(sandbox.sandboxId);
      checkLabels(sandbox.labels);
      const now = nowTimestamp();
      const record = { ...sandbox, createdAt: now, updatedAt: now };
      database.transaction(() => {
        if (table.get(namespace, record.sandboxId) !== undefined)
          throw new BoxshipError('alreadyExists', `sandbox "${record.sandboxId}"`);
        table.put(namespace, record.sandboxId, record);
      });
      return { sandbox: record };
    },
    async update({ sandbox: wanted, fields }, { namespace }) {
      if (wanted === undefined) throw new BoxshipError('invalidArgument', 'sandbox must be set');
      return database.transaction(() => {
        const current = get(namespace, wanted.sandboxId);
        const sandbox = { ...changed(current, wanted, fields), updatedAt: nowTimestamp() };
        table.put(namespace, sandbox.sandboxId, sandbox);
        return { sandbox };
      });
    },
    async delete({ sandboxId }, { namespace }) {
      if (!table.delete(namespace, sandboxId)) throw new BoxshipError('notFound', `sandbox "${sandboxId}"`);
      return {};
    },
    async list({ filters }, { namespace }) {
      const matches = parseFilters(filters);
      return { list: table.list(namespace).filter((one) => matches((path) => lookup(one, path))) };
    },
    async get({ sandboxId }, { namespace }) {
      return { sandbox: get(namespace, sandboxId) };
    },
  };
}

/** Without fields: labels, extensions, specification and runtime as wanted. Id and time of creation never change. */
function changed(current: Sandbox, wanted: Sandbox, fields: readonly string[]): Sandbox {
  const paths = fields.length === 0 ? ['labels', 'extensions', 'spec', 'runtime'] : fields;
  const next = { ...current, labels: updateLabels(current.labels, wanted.labels, paths) };
  for (const path of paths) {
    if (path === 'labels' || path.startsWith('labels.')) continue;
    if (path === 'extensions') next.extensions = wanted.extensions;
    else if (path.startsWith('extensions.')) {
      const key = path.slice('extensions.'.length);
      const value = wanted.extensions[key];
      if (value !== undefined) next.extensions = { ...next.extensions, [key]: value };
    } else if (path === 'spec') next.spec = wanted.spec;
    else if (path === 'runtime') next.runtime = wanted.runtime;
    else refuseMaskPath(path, `sandbox "${current.sandboxId}"`);
  }
  return next;
}

function lookup(sandbox: Sandbox, path: readonly string[]): string | undefined {
  switch (path[0]) {
    case 'id':
      return sandbox.sandboxId;
    case 'runtime':
      return path[1] === 'name' ? sandbox.runtime?.name : undefined;
    case 'labels':
      return lookupLabel(sandbox.labels, path);
    default:
      return undefined;
  }
}
