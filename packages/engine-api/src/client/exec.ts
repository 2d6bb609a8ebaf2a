/** Processes added to running containers. */
import type { ExecCreateRequest, ExecInspect, ExecStartRequest } from '../schemas/exec.ts';
import type { Hijacked, Transport } from './transport.ts';

export function execClient(transport: Transport) {
  const at = (id: string, verb: string) => `/exec/${encodeURIComponent(id)}${verb}`;
  return {
    create: (containerId: string, body: ExecCreateRequest) =>
      transport.json<{ Id: string }>('POST', `/containers/${encodeURIComponent(containerId)}/exec`, { body }),
    /** Starts and takes over the connection. */
    start: (id: string, body: ExecStartRequest = {}, signal?: AbortSignal): Promise<Hijacked> =>
      transport.hijack(at(id, '/start'), { body: { Detach: false, Tty: false, ...body }, signal }),
    startDetached: (id: string, body: ExecStartRequest = {}) =>
      transport.empty('POST', at(id, '/start'), { body: { ...body, Detach: true } }),
    inspect: (id: string) => transport.json<ExecInspect>('GET', at(id, '/json')),
    resize: (id: string, size: { h: number; w: number }) => transport.empty('POST', at(id, '/resize'), { query: size }),
  };
}

export type ExecClient = ReturnType<typeof execClient>;
