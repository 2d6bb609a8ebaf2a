/** `containerd.services.namespaces.v1.Namespaces`. Needs no namespace header. */
import { eventTypes, type namespaces, type ServiceHandlers } from '@boxship/api';
import { BoxshipError, checkIdentifier } from '@boxship/base';
import type { EventExchange } from '../events/exchange.ts';
import { updateLabels } from '../metadata/labels.ts';
import type { NamespaceTable } from '../metadata/namespaces.ts';

export function namespacesService(options: {
  table: NamespaceTable;
  events: EventExchange;
}): ServiceHandlers<typeof namespaces.NamespacesService> {
  const { table, events } = options;
  return {
    async get({ name }) {
      checkIdentifier(name);
      return { namespace: { name, labels: table.labels(name) } };
    },
    async list() {
      return { namespaces: table.list().map((name) => ({ name, labels: table.labels(name) })) };
    },
    async create({ namespace }) {
      if (namespace === undefined) throw new BoxshipError('invalidArgument', 'namespace must not be empty');
      checkIdentifier(namespace.name);
      table.create(namespace.name, namespace.labels);
      events.emit(
        namespace.name,
        '/namespaces/create',
        'containerd.events.NamespaceCreate',
        eventTypes.NamespaceCreate,
        namespace,
      );
      return { namespace };
    },
    async update({ namespace, updateMask }) {
      if (namespace === undefined) throw new BoxshipError('invalidArgument', 'namespace must not be empty');
      checkIdentifier(namespace.name);
      for (const path of updateMask ?? [])
        if (path !== 'labels' && !path.startsWith('labels.'))
          throw new BoxshipError('invalidArgument', `cannot update ${path} field`);
      const labels = updateLabels(table.labels(namespace.name), namespace.labels, updateMask ?? ['labels']);
      table.put(namespace.name, labels);
      const event = { name: namespace.name, labels };
      events.emit(
        namespace.name,
        '/namespaces/update',
        'containerd.events.NamespaceUpdate',
        eventTypes.NamespaceUpdate,
        event,
      );
      return { namespace: { name: '', labels: {} } }; // containerd answers an empty namespace here
    },
    async delete({ name }) {
      table.delete(name);
      events.emit(name, '/namespaces/delete', 'containerd.events.NamespaceDelete', eventTypes.NamespaceDelete, {
        name,
      });
      return {};
    },
  };
}
