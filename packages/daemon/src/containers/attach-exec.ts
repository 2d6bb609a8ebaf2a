/** A client on the streams of an exec: the process starts with the connection and ends it. */
import type { Duplex } from 'node:stream';
import { BoxshipError } from '@boxship/base';
import { encodeFrame, streamTypes } from '@boxship/engine-api';
import type { Parts } from '../parts.ts';
import { execPaths, publish, startExec } from './exec.ts';
import type { Exec } from './exec-store.ts';
import { copyInput } from './input.ts';
import { copyOutput, type OutputCopy } from './output.ts';
import { runtimeText } from './start-error.ts';

export interface ExecAttachOptions {
  readonly isTty: boolean;
  readonly consoleSize: readonly number[] | undefined;
}

/** Starts and serves it. A failure to start is told on the stream, as Docker does. */
export async function attachExec(parts: Parts, exec: Exec, client: Duplex, options: ExecAttachOptions): Promise<void> {
  const { request } = exec;
  const hasStdin = request.AttachStdin === true;
  client.on('error', () => client.destroy()); // a client that is gone is no error of ours
  const input = hasStdin
    ? copyInput({
        client,
        input: () => exec.stdin,
        isTty: options.isTty,
        detachKeys: exec.detachKeys,
        onEnd: () => closeExecStdin(parts, exec),
        onDetach: () => {
          const container = parts.containers.byId(exec.containerId);
          if (container !== undefined) publish(parts, container, exec, 'exec_detach');
          client.end(() => client.destroy());
        },
      })
    : undefined;
  if (input === undefined) client.on('data', () => {}).resume(); // nothing is expected
  let copy: OutputCopy | undefined;
  try {
    await startExec(parts, exec, {
      ...options,
      hasStdin,
      connect() {
        copy = copyOutput({
          path: execPaths(parts, exec.id).attachSocket,
          client,
          isTty: options.isTty,
          stdout: request.AttachStdout === true,
          stderr: request.AttachStderr === true,
          isAlive: () => exec.state === 'starting' || exec.state === 'running',
        });
        return copy.connected;
      },
    });
    // only now: an end of input that overtakes the start would close a stdin that is not open yet
    input?.flow();
  } catch (error) {
    parts.log.debug('exec did not start', { exec: exec.id, error });
    const text = Buffer.from(`${runtimeText(error)}\r\n`);
    client.write(options.isTty ? text : encodeFrame(streamTypes.stdout, text));
  }
  await copy?.done;
  // the client asks for the exit code as soon as the stream ends: it must be known by then
  if (copy !== undefined && !client.destroyed) await exec.exited.promise;
  client.end();
}

function closeExecStdin(parts: Parts, exec: Exec): void {
  exec.stdin?.close();
  parts.containerd.tasks
    .closeIo({ containerId: exec.containerId, execId: exec.id, stdin: true })
    .catch((error: unknown) => {
      if (!BoxshipError.is(error, 'notFound')) parts.log.debug('stdin was not closed', { exec: exec.id, error });
    });
}
