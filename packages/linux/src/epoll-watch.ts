/**
 * How an epoll instance of ours is waited for. Both drivers call back for as long as something in it is ready; the caller
 * then takes the events with a zero timeout.
 *
 * The event loop does it itself: libuv polls any descriptor that a pipe handle has, and an epoll instance is pollable like
 * the descriptors in it (epoll(7)). A thread in between costs two changes of thread per event, which is five times as much
 * as everything else together. Node has no public handle for this, so a socket is opened on a pipe and the instance is put
 * in the pipe's place. Its read buffer is empty, so libuv reports that it has no room (`ENOBUFS`) instead of reading.
 */
import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import { callAsync, check, declare } from './libc.ts';

const pipe2 = declare('int pipe2(void *fds, int flags)');
const dup3 = declare('int dup3(int from, int to, int flags)');
const eventfd = declare('int eventfd(unsigned int initval, int flags)');
const pollFds = declare('int poll(void *fds, unsigned long nfds, int timeout)');
const readFd = declare('int64_t read(int fd, void *buf, size_t count)');
const writeFd = declare('int64_t write(int fd, const void *buf, size_t count)');

const O_CLOEXEC = 0x80000;
const EFD_CLOEXEC_NONBLOCK = 0x80800;
const POLLIN = 1;

export interface EpollWatch {
  /** Calls back from now on, and keeps the process alive. Starting a started one changes nothing. */
  start(): void;
  /** No callback and no hold on the process until the next start. */
  stop(): void;
  /** For good. The epoll instance stays open. */
  close(): void;
}

/** The best one that this Node has. */
export function watchEpoll(epoll: number, onReady: () => void): EpollWatch {
  return watchOnLoop(epoll, onReady) ?? watchOnThread(epoll, onReady);
}

/** What a socket has underneath, as far as it is used here. */
interface ReadHandle {
  onread: () => void;
  readStart(): number;
  readStop(): number;
}

/** Undefined when Node's sockets are not made as they were up to Node 26. */
export function watchOnLoop(epoll: number, onReady: () => void): EpollWatch | undefined {
  const fds = Buffer.alloc(8);
  check(pipe2(fds, O_CLOEXEC), 'pipe2');
  const [fd, writer] = [fds.readInt32LE(0), fds.readInt32LE(4)];
  const options = { readable: true, writable: false, manualStart: true };
  const socket = new Socket({ ...options, fd, onread: { buffer: Buffer.alloc(0), callback: () => false } });
  closeSync(writer);
  const { _handle: handle } = socket as unknown as { readonly _handle?: Partial<ReadHandle> | null };
  if (!isReadHandle(handle)) {
    socket.destroy();
    return undefined;
  }
  check(dup3(epoll, fd, O_CLOEXEC), 'dup3', `fd ${epoll}`);
  handle.onread = onReady;
  let isReading = false;
  return {
    start() {
      socket.ref();
      if (!isReading) handle.readStart();
      isReading = true;
    },
    // it goes on polling: nothing is armed, so nothing comes, and the next start costs no call
    stop: () => void socket.unref(),
    close: () => void socket.destroy(),
  };
}

const isReadHandle = (handle: Partial<ReadHandle> | null | undefined): handle is ReadHandle =>
  typeof handle?.readStart === 'function' && typeof handle.readStop === 'function' && 'onread' in handle;

/** One waiting thread of the pool, which exists only between start and stop. */
export function watchOnThread(epoll: number, onReady: () => void): EpollWatch {
  const wake = check(eventfd(0, EFD_CLOEXEC_NONBLOCK), 'eventfd');
  // struct pollfd: descriptor, events, revents
  const fds = Buffer.alloc(16);
  for (const [i, fd] of [epoll, wake].entries()) {
    fds.writeInt32LE(fd, i * 8);
    fds.writeInt16LE(POLLIN, i * 8 + 4);
  }
  let isWanted = false;
  let isWaiting = false;
  let isClosed = false;
  const wakeThread = () => {
    const one = Buffer.alloc(8);
    one.writeBigUInt64LE(1n);
    writeFd(wake, one, 8); // fails only when 2^64-1 wake-ups are pending: then it is awake anyway
  };
  const wait = async () => {
    isWaiting = true;
    while (isWanted) {
      // a negative result is EINTR (a debugger, SIGSTOP and SIGCONT): wait again
      const { result } = await callAsync(pollFds, fds, 2, -1);
      readFd(wake, Buffer.alloc(8), 8);
      if (isWanted && result > 0) onReady();
    }
    isWaiting = false;
    if (isClosed) closeSync(wake);
  };
  const stop = () => {
    isWanted = false;
    if (isWaiting) wakeThread();
  };
  // exit joins the pool's threads: one that waits would keep the process from ending
  process.on('exit', stop);
  return {
    start() {
      isWanted = true;
      if (!isWaiting) void wait();
    },
    stop,
    close() {
      if (isClosed) return;
      isClosed = true;
      process.off('exit', stop);
      stop();
      if (!isWaiting) closeSync(wake);
    },
  };
}
