/**
 * Internet sockets opened by hand (socket(2), ip(7)). A socket belongs for ever to the network namespace of the thread that
 * called `socket`; Node opens its sockets some ticks later, when the thread is home again. These are open when the call
 * returns, so that one opened inside of a namespace can be used from outside. All are non-blocking and close-on-exec.
 */
import { closeSync } from 'node:fs';
import { check, declare, errnoName, lastErrno, systemError } from './libc.ts';
import { addressToBytes } from './netlink/address-text.ts';

const openSocket = declare('int socket(int domain, int type, int protocol)');
const bindSocket = declare('int bind(int fd, const void *address, uint32_t length)');
const connectSocket = declare('int connect(int fd, const void *address, uint32_t length)');
const listenSocket = declare('int listen(int fd, int backlog)');
const setOption = declare('int setsockopt(int fd, int level, int name, const void *value, uint32_t length)');

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK_CLOEXEC = 0o2004000;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const BACKLOG = 128;

/** `struct sockaddr_in` or `sockaddr_in6`: family in host order, port in network order. */
function socketAddress(address: string, port: number): Buffer {
  const isV6 = address.includes(':');
  const bytes = Buffer.alloc(isV6 ? 28 : 16);
  bytes.writeUInt16LE(isV6 ? AF_INET6 : AF_INET, 0);
  bytes.writeUInt16BE(port, 2);
  addressToBytes(address).copy(bytes, isV6 ? 8 : 4);
  return bytes;
}

function withSocket(type: number, address: string, port: number, use: (fd: number, at: Buffer) => void): number {
  const domain = address.includes(':') ? AF_INET6 : AF_INET;
  const fd = check(openSocket(domain, type | SOCK_NONBLOCK_CLOEXEC, 0), 'socket', address);
  try {
    use(fd, socketAddress(address, port));
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** A UDP socket bound to an address. @throws the system's error, `EADDRINUSE` in `details.code` among them */
export function bindUdp(address: string, port: number): number {
  return withSocket(SOCK_DGRAM, address, port, (fd, at) =>
    check(bindSocket(fd, at, at.length), 'bind', `${address}:${port}/udp`),
  );
}

/** A UDP socket that talks to one peer only: what others send does not arrive, what the peer refuses is an error of the socket. */
export function connectUdp(address: string, port: number): number {
  return withSocket(SOCK_DGRAM, address, port, (fd, at) =>
    check(connectSocket(fd, at, at.length), 'connect', `${address}:${port}/udp`),
  );
}

/** A TCP socket that listens. */
export function listenTcp(address: string, port: number): number {
  return withSocket(SOCK_STREAM, address, port, (fd, at) => {
    // connections of a predecessor in TIME_WAIT are no reason to be refused
    const one = Buffer.from([1, 0, 0, 0]);
    check(setOption(fd, SOL_SOCKET, SO_REUSEADDR, one, 4), 'setsockopt', 'SO_REUSEADDR');
    check(bindSocket(fd, at, at.length), 'bind', `${address}:${port}/tcp`);
    check(listenSocket(fd, BACKLOG), 'listen', `${address}:${port}/tcp`);
  });
}

/** A TCP socket whose connection is being made; reading or writing tells how that ended. */
export function connectTcp(address: string, port: number): number {
  return withSocket(SOCK_STREAM, address, port, (fd, at) => {
    if (connectSocket(fd, at, at.length) === 0) return;
    const errno = lastErrno();
    if (errnoName(errno) !== 'EINPROGRESS') throw systemError('connect', errno, `${address}:${port}/tcp`);
  });
}
