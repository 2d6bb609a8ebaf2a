/** `containerd.services.leases.v1.Leases`. */
import { randomBytes } from 'node:crypto';
import { type leases, nowTimestamp, type ServiceHandlers } from '@boxship/api';
import { BoxshipError, parseFilters } from '@boxship/base';
import { checkLabels } from '@boxship/image-store';
import { lookupLabel } from '../metadata/labels.ts';
import type { LeaseTable } from '../metadata/leases.ts';

export function leasesService(options: {
  table: LeaseTable;
  onDelete: (sync: boolean) => Promise<void>;
}): ServiceHandlers<typeof leases.LeasesService> {
  const { table } = options;
  return {
    async create({ id, labels }, context) {
      const { namespace } = context;
      const name = id === '' ? `${Date.now()}-${randomBytes(3).toString('hex')}` : id;
      checkLabels(labels);
      if (table.records.get(namespace, name) !== undefined) throw new BoxshipError('alreadyExists', `lease "${name}"`);
      const lease = { id: name, createdAt: nowTimestamp(), labels };
      table.create(namespace, lease);
      return { lease };
    },
    async delete({ id, sync }, context) {
      table.delete(context.namespace, id, { isWaitedFor: sync });
      await options.onDelete(sync);
      return {};
    },
    async list({ filters }, context) {
      const matches = parseFilters(filters);
      const all = table.records.list(context.namespace);
      return {
        leases: all.filter((lease) =>
          matches((path) =>
            path[0] === 'id' ? lease.id : path[0] === 'labels' ? lookupLabel(lease.labels, path) : undefined,
          ),
        ),
      };
    },
    async addResource({ id, resource }, context) {
      const { type, name } = checkResource(resource);
      table.get(context.namespace, id);
      table.addResource(context.namespace, id, type, name);
      return {};
    },
    async deleteResource({ id, resource }, context) {
      const { type, name } = checkResource(resource);
      table.get(context.namespace, id);
      table.deleteResource(context.namespace, id, type, name);
      return {};
    },
    async listResources({ id }, context) {
      table.get(context.namespace, id);
      const resources = table.resources(context.namespace, id);
      return { resources: resources.map(({ type, resource }) => ({ id: resource, type })) };
    },
  };
}

function checkResource(resource: leases.Resource | undefined): { type: string; name: string } {
  const { type = '', id = '' } = resource ?? {};
  if (type === '') throw new BoxshipError('invalidArgument', 'resource type must not be empty');
  if (type === 'content' || type === 'ingests' || type === 'images' || /^snapshots\/[^/]+$/.test(type))
    return { type, name: id };
  if (type === 'snapshots') throw new BoxshipError('invalidArgument', 'snapshotter name is missing in "snapshots"');
  throw new BoxshipError('unimplemented', `resource type ${JSON.stringify(type)} not supported yet`);
}
