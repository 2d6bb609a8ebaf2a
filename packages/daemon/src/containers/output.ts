/**
 * Copies a process's output from its attach socket to one client. The socket carries Docker's frames; when it drops although
 * the process lives (its shim was replaced), the copy goes on with the successor's socket.
 */
import { connect, type Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { sleep, withDeadline } from '@boxship/base';
import { encodeFrame, FrameDecoder, type StreamType, streamTypes } from '@boxship/engine-api';

export interface OutputOptions {
  /** The attach socket. */
  readonly path: string;
  readonly client: Writable;
  /** Frames are opened: a terminal has one stream. */
  readonly isTty: boolean;
  /** Payloads only, of all streams. */
  readonly isPlain?: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** While true a missing or dropped socket is tried again. */
  readonly isAlive: () => boolean;
}

export interface OutputCopy {
  /** Resolves when the first connection stands: nothing said from now on is missed. Also when it never will. */
  readonly connected: Promise<void>;
  /** Resolves when everything was copied or the client has gone. */
  readonly done: Promise<void>;
}

/** The logger makes its socket before the task's creation is answered; a logger that does not start is an error. */
const connectTimeoutMs = 10_000;
/** A process that is being started speaks some milliseconds after its socket is there: it must be found within them. */
const eagerRetryMs = 2;
const eagerAttempts = 500;
const patientRetryMs = 50;

export function copyOutput(options: OutputOptions): OutputCopy {
  const connected = Promise.withResolvers<void>();
  const done = run(options, connected.resolve).finally(connected.resolve);
  const deadline = {
    component: 'daemon',
    operation: 'connection to attach socket',
    id: options.path,
    timeoutMs: connectTimeoutMs,
  };
  return { connected: withDeadline(deadline, () => connected.promise), done };
}

async function run(options: OutputOptions, onConnected: () => void): Promise<void> {
  const { client } = options;
  for (let attempt = 0; !client.destroyed; attempt++) {
    const source = await dial(options.path);
    if (source === undefined) {
      if (!options.isAlive()) return;
      await sleep(attempt < eagerAttempts ? eagerRetryMs : patientRetryMs);
      continue;
    }
    attempt = 0;
    onConnected();
    await copy(source, options);
    if (!options.isAlive()) return;
    await sleep(eagerRetryMs);
  }
}

/** Undefined when nobody listens there (yet, or any more). */
function dial(path: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once('connect', () => resolve(socket));
    socket.once('error', () => resolve(undefined));
  });
}

function copy(source: Socket, options: OutputOptions): Promise<void> {
  const { client, stdout, stderr } = options;
  const isTty = options.isTty || options.isPlain === true;
  return new Promise((resolve) => {
    const finish = () => {
      client.off('close', finish);
      client.off('drain', onDrain);
      source.destroy();
      resolve();
    };
    const onDrain = () => source.resume();
    const send = (bytes: Uint8Array) => {
      if (!client.write(bytes)) source.pause();
    };
    client.once('close', finish);
    client.on('drain', onDrain);
    source.on('error', finish);
    source.on('end', finish);
    source.on('close', finish);
    if (!isTty && stdout && stderr) {
      source.on('data', send); // frames go through as they are
      return;
    }
    const decoder = new FrameDecoder();
    source.on('data', (chunk: Buffer) => {
      for (const { stream, payload } of decoder.push(chunk)) {
        if (stream === streamTypes.stdout && !stdout) continue;
        if (stream === streamTypes.stderr && !stderr) continue;
        send(isTty ? payload : encodeFrame(stream as StreamType, payload));
      }
    });
  });
}
