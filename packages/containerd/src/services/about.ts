/** What the server says about itself: Version, Introspection and Health. */
import { statSync } from 'node:fs';
import {
  type Any,
  decodeAny,
  health,
  type introspection,
  type Platform,
  type runtimeInfo,
  type ServiceHandlers,
  type version,
} from '@boxship/api';
import { BoxshipError, parseFilters } from '@boxship/base';

/** A part of the server as `ctr plugins ls` shows it. */
export interface PluginRow {
  readonly type: string;
  readonly id: string;
  readonly exports?: { [key: string]: string };
  readonly capabilities?: string[];
  /** Why the part is not there; a text with `skip plugin` shows as skipped. */
  readonly failure?: string;
}

export function versionService(options: {
  version: string;
  revision: string;
}): ServiceHandlers<typeof version.VersionService> {
  return { version: async () => options };
}

export function healthService(): ServiceHandlers<typeof health.HealthService> {
  return { check: async () => ({ status: health.HealthCheckResponse_ServingStatus.SERVING }) };
}

export function introspectionService(options: {
  uuid: string;
  platform: Platform;
  plugins: readonly PluginRow[];
  /** Asks the shim of a runtime, as clients of containerd 2 want to know it. */
  describeRuntime: (request: runtimeInfo.RuntimeRequest) => Promise<Any>;
}): ServiceHandlers<typeof introspection.IntrospectionService> {
  const rows: introspection.Plugin[] = options.plugins.map((row) => ({
    type: row.type,
    id: row.id,
    requires: [],
    platforms: [options.platform],
    exports: row.exports ?? {},
    capabilities: row.capabilities ?? [],
    initErr: row.failure === undefined ? undefined : { code: 2, message: row.failure, details: [] },
  }));
  return {
    async plugins({ filters }) {
      const matches = parseFilters(filters);
      return {
        plugins: rows.filter((row) =>
          matches((path) => {
            if (path[0] === 'type') return row.type;
            if (path[0] === 'id') return row.id;
            if (path[0] === 'capabilities')
              return row.capabilities.includes(path.slice(1).join('.')) ? 'true' : undefined;
            return undefined;
          }),
        ),
      };
    },
    async server() {
      return {
        uuid: options.uuid,
        pid: BigInt(process.pid),
        pidns: BigInt(statSync('/proc/self/ns/pid').ino),
        deprecations: [],
      };
    },
    async pluginInfo({ type, id, options: request }) {
      const plugin = rows.find((row) => row.type === type && row.id === id);
      if (plugin === undefined) throw new BoxshipError('notFound', `plugin ${type}.${id}`);
      if (request === undefined || request.typeUrl === '') return { plugin, extra: undefined };
      const decoded = decodeAny(request);
      const isRuntime = type === 'io.containerd.runtime.v2' && decoded.kind === 'message';
      if (!isRuntime || decoded.name !== 'containerd.types.RuntimeRequest')
        throw new BoxshipError('unimplemented', `plugin ${type}.${id} takes no request of type ${request.typeUrl}`);
      return { plugin, extra: await options.describeRuntime(decoded.value as runtimeInfo.RuntimeRequest) };
    },
  };
}
