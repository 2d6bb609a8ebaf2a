/** `/containers/{id}/exec` and `/exec/*`. */
import { BoxshipError } from '@boxship/base';
import { apiAtLeast, ExecCreateSchema, ExecStartSchema } from '@boxship/engine-api';
import { attachExec } from '../../containers/attach-exec.ts';
import { parseDetachKeys } from '../../containers/detach-keys.ts';
import { checkExecutable, createExec, inspectExec, startExec } from '../../containers/exec.ts';
import { resizeTerminal } from '../../containers/update.ts';
import type { Parts } from '../../parts.ts';
import { commonHeaders } from '../exchange.ts';
import { hijack, streamType } from '../hijack.ts';
import type { Router } from '../server.ts';
import { sizeOf } from './containers.ts';

export function execRoutes(router: Router, parts: Parts): void {
  router.on('POST', '/containers/:id/exec', async (exchange) => {
    const container = parts.containers.get(exchange.param('id'));
    const request = await exchange.body(ExecCreateSchema);
    if (request.DetachKeys) parseDetachKeys(request.DetachKeys);
    exchange.json({ Id: createExec(parts, container, request).id }, 201);
  });

  router.on('POST', '/exec/:id/start', async (exchange) => {
    const exec = parts.execs.get(exchange.param('id'));
    const start = await exchange.body(ExecStartSchema, { isOptional: true });
    const container = parts.containers.get(exec.containerId);
    const consoleSize = apiAtLeast(exchange.apiVersion, '1.42') ? start.ConsoleSize : undefined;
    if (exec.state !== 'created') throw new BoxshipError('conflict', `Error: Exec command ${exec.id} has already run`);
    checkExecutable(container);
    const isTty = start.Tty ?? false;
    if (start.Detach === true) {
      await startExec(parts, exec, {
        isTty: exec.request.Tty ?? false,
        consoleSize,
        hasStdin: false,
        connect: async () => {},
      });
      exchange.empty(200);
      return;
    }
    const socket = hijack(exchange, {
      contentType: streamType(isTty, exchange.apiVersion),
      headers: commonHeaders(),
    });
    await attachExec(parts, exec, socket, { isTty, consoleSize });
  });

  router.on('POST', '/exec/:id/resize', async (exchange) => {
    const exec = parts.execs.get(exchange.param('id'));
    const size = sizeOf(exchange);
    if (exec.state !== 'running') throw new BoxshipError('conflict', `exec ${exec.id} is not running`);
    await resizeTerminal(parts, exec.containerId, exec.id, size);
    exchange.empty(200);
  });

  router.on('GET', '/exec/:id/json', (exchange) => {
    const exec = parts.execs.get(exchange.param('id'));
    exchange.json(inspectExec(exec));
  });
}
