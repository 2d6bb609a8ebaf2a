/**
 * Unix sockets below Node's: receiving a descriptor (the pty master that an OCI runtime hands over through its console
 * socket), and the identity of a peer.
 */
import { closeSync, unlinkSync } from 'node:fs';
import { BoxshipError, withDeadline } from '@boxship/base';
import { addressOf, check, declare } from './libc.ts';
import { sharedPoller } from './poller.ts';

const socket = declare('int socket(int domain, int type, int protocol)');
const bind = declare('int bind(int fd, const void *address, uint32_t length)');
const listen = declare('int listen(int fd, int backlog)');
const accept4 = declare('int accept4(int fd, void *address, void *length, int flags)');
const recvmsg = declare('int64_t recvmsg(int fd, void *message, int flags)');
const getsockopt = declare('int getsockopt(int fd, int level, int name, void *value, void *length)');

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK_CLOEXEC = 0o4000 | 0o2000000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const SO_PEERCRED = 17;
const MSG_CMSG_CLOEXEC = 0x40000000;

function address(path: string): Buffer {
  const name = Buffer.from(path);
  if (name.length > 107) throw new BoxshipError('invalidArgument', `socket path is longer than 107 bytes: ${path}`);
  const buffer = Buffer.alloc(110);
  buffer.writeUInt16LE(AF_UNIX, 0);
  name.copy(buffer, 2);
  return buffer;
}

export interface Credentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** Who connected the socket (SO_PEERCRED). */
export function peerCredentials(fd: number): Credentials {
  const value = Buffer.alloc(12);
  const length = Buffer.from(new Uint32Array([12]).buffer);
  check(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, value, length), 'getsockopt SO_PEERCRED');
  return { pid: value.readInt32LE(0), uid: value.readUInt32LE(4), gid: value.readUInt32LE(8) };
}

/** A listening socket that gives away one descriptor: that of the first message of its first connection. */
export interface FdReceiver extends Disposable {
  readonly path: string;
  /** The descriptor (close-on-exec). Ends with `deadlineExceeded` or the signal's reason. */
  receive(timeoutMs: number, signal?: AbortSignal): Promise<number>;
}

/** Binds a socket at `path` (mode 0600 by the caller's directory), to be given to `--console-socket`. */
export function listenForFd(path: string): FdReceiver {
  const poller = sharedPoller();
  const listener = check(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK_CLOEXEC, 0), 'socket');
  const open = new Set([listener]);
  const close = (fd: number) => {
    if (!open.delete(fd)) return;
    poller.remove(fd);
    closeSync(fd);
  };
  try {
    check(bind(listener, address(path), 110), 'bind', path);
    check(listen(listener, 1), 'listen', path);
  } catch (error) {
    close(listener);
    throw error;
  }
  return {
    path,
    receive: (timeoutMs, signal) =>
      withDeadline(
        { component: 'linux', operation: 'receive of a descriptor', id: path, timeoutMs, ...(signal && { signal }) },
        async () => {
          await poller.ready(listener, 'read');
          const connection = check(accept4(listener, null, null, SOCK_NONBLOCK_CLOEXEC), 'accept4', path);
          open.add(connection);
          await poller.ready(connection, 'read');
          const fd = receiveFd(connection);
          close(connection);
          return fd;
        },
      ),
    [Symbol.dispose]() {
      for (const fd of [...open]) close(fd);
      try {
        unlinkSync(path);
      } catch {
        // the directory may have been removed with it
      }
    },
  };
}

/** One message with one descriptor; further descriptors do not fit into the control buffer and are closed by the kernel. */
function receiveFd(connection: number): number {
  const data = Buffer.alloc(4096);
  const control = Buffer.alloc(24); // CMSG_SPACE(sizeof(int))
  const iov = Buffer.alloc(16);
  iov.writeBigUInt64LE(addressOf(data), 0);
  iov.writeBigUInt64LE(BigInt(data.length), 8);
  const message = Buffer.alloc(56);
  message.writeBigUInt64LE(addressOf(iov), 16);
  message.writeBigUInt64LE(1n, 24);
  message.writeBigUInt64LE(addressOf(control), 32);
  message.writeBigUInt64LE(BigInt(control.length), 40);
  check(Number(recvmsg(connection, message, MSG_CMSG_CLOEXEC)), 'recvmsg');
  const isRights = control.readInt32LE(8) === SOL_SOCKET && control.readInt32LE(12) === SCM_RIGHTS;
  if (!isRights || message.readBigUInt64LE(40) < 20n)
    throw new BoxshipError('unknown', 'the message on the console socket carries no descriptor');
  return control.readInt32LE(16);
}
