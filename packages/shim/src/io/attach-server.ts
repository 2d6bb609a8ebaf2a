/**
 * The socket beside a log: every client gets all output from its connection on, in Docker's frames (8 bytes: stream, three
 * zeros, length; then the bytes). A reader that lags a MiB behind holds the output back; one that takes nothing for ten
 * seconds meanwhile is cut.
 */
import { rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import type { Logger } from '@boxship/base';
import type { StreamName } from '../log/format.ts';

const MAX_LAG_BYTES = 1024 * 1024;
const PATIENCE_MS = 10_000;
const streamNumbers = { stdout: 1, stderr: 2 } as const;

export class AttachServer {
  readonly #path: string;
  readonly #server: Server;
  readonly #clients = new Map<Socket, { timer: NodeJS.Timeout | undefined; sent: number }>();
  readonly #log: Logger;
  // both streams of a process may wait at a time
  #waiting: (() => void)[] = [];

  /** Listens; a socket left by a killed predecessor is replaced. */
  static async listen(path: string, log: Logger): Promise<AttachServer> {
    rmSync(path, { force: true });
    const server = new AttachServer(path, log);
    await new Promise<void>((resolve, reject) => {
      server.#server.once('error', reject);
      server.#server.listen({ path, backlog: 64 }, resolve);
    });
    return server;
  }

  private constructor(path: string, log: Logger) {
    this.#path = path;
    this.#log = log;
    // half-open: a client that sends nothing and ends its side still wants the output
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
  }

  get hasClients(): boolean {
    return this.#clients.size > 0;
  }

  #accept(socket: Socket): void {
    this.#clients.set(socket, { timer: undefined, sent: 0 });
    socket.resume(); // nothing is expected from the client; what comes is dropped
    const leave = () => {
      clearTimeout(this.#clients.get(socket)?.timer);
      if (this.#clients.delete(socket)) this.#signalRoom();
    };
    socket.on('error', () => socket.destroy()); // the reader went away: normal
    socket.on('close', leave);
    socket.on('drain', () => {
      const client = this.#clients.get(socket);
      if (client !== undefined) {
        clearTimeout(client.timer);
        client.timer = undefined;
      }
      this.#signalRoom();
    });
  }

  send(stream: StreamName, bytes: Buffer): void {
    if (this.#clients.size === 0 || bytes.length === 0) return;
    const frame = Buffer.allocUnsafe(8 + bytes.length);
    frame.writeUInt32BE(streamNumbers[stream] << 24, 0);
    frame.writeUInt32BE(bytes.length, 4);
    bytes.copy(frame, 8);
    for (const [socket, client] of this.#clients) {
      if (!socket.write(frame) && client.timer === undefined) this.#watch(socket, client);
    }
  }

  /** Cuts the client when not a byte has left for it within the patience. */
  #watch(socket: Socket, client: { timer: NodeJS.Timeout | undefined; sent: number }): void {
    client.sent = takenBytes(socket);
    client.timer = setTimeout(() => {
      client.timer = undefined;
      if (takenBytes(socket) > client.sent) {
        this.#watch(socket, client);
        return;
      }
      this.#log.warn('attached reader takes nothing and is cut', { lag: socket.writableLength, path: this.#path });
      socket.destroy();
    }, PATIENCE_MS);
    client.timer.unref();
  }

  get isFull(): boolean {
    for (const socket of this.#clients.keys()) if (socket.writableLength > MAX_LAG_BYTES) return true;
    return false;
  }

  /** Calls back once when {@link isFull} may have become false. */
  whenRoom(callback: () => void): void {
    this.#waiting.push(callback);
  }

  #signalRoom(): void {
    const callbacks = this.#waiting;
    this.#waiting = [];
    for (const callback of callbacks) callback();
  }

  /** All output has been sent: connections end when their readers have it. */
  end(): void {
    this.#server.close(); // also removes the name
    for (const socket of this.#clients.keys()) socket.end();
  }
}

const takenBytes = (socket: Socket) => socket.bytesWritten - socket.writableLength;
