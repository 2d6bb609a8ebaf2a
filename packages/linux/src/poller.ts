/**
 * Readiness of descriptors that libuv does not watch: pidfds, eventfds, FIFOs that are moved with splice(2), console
 * sockets. One epoll instance serves any number of descriptors; a callback fires once per {@link Poller.arm}, and arms again
 * when it wants more. The process is kept alive only while something is watched.
 */
import { closeSync } from 'node:fs';
import { type EpollWatch, watchEpoll } from './epoll-watch.ts';
import { check, declare } from './libc.ts';

const epollCreate = declare('int epoll_create1(int flags)');
const epollCtl = declare('int epoll_ctl(int epfd, int op, int fd, void *event)');
const epollWait = declare('int epoll_wait(int epfd, void *events, int maxevents, int timeout)');

const EPOLL_CLOEXEC = 0x80000;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLL_CTL_MOD = 3;
const EPOLLIN = 0x1;
const EPOLLPRI = 0x2;
const EPOLLOUT = 0x4;
const EPOLLERR = 0x8;
const EPOLLHUP = 0x10;
// struct epoll_event is packed on x86-64 alone (uapi/linux/eventpoll.h)
const EVENT_SIZE = process.arch === 'x64' ? 12 : 16;
const DATA_OFFSET = process.arch === 'x64' ? 4 : 8;
const MAX_EVENTS = 128;

export type Interest = 'read' | 'write' | 'priority';
const interestBits = { read: EPOLLIN, write: EPOLLOUT, priority: EPOLLPRI } as const satisfies Record<Interest, number>;

/** What woke the callback. `isHungUp`: no peer is left (a FIFO without writers, a pidfd whose process was reaped). */
export interface Readiness {
  readonly isHungUp: boolean;
  readonly isError: boolean;
  /** When the kernel said so (`performance.now()`): before the callbacks of others that were ready as well. */
  readonly at: number;
}

interface Watch {
  readonly generation: number;
  callback: ((readiness: Readiness) => void) | undefined;
  /** What the kernel watches for, undefined: it does not know the descriptor. */
  registered: Interest | undefined;
}

export class Poller implements Disposable {
  readonly #epoll: number;
  readonly #watch: EpollWatch;
  readonly #watches = new Map<number, Watch>();
  readonly #events = Buffer.alloc(MAX_EVENTS * EVENT_SIZE);
  readonly #event = Buffer.alloc(EVENT_SIZE);
  #generation = 0;
  #isClosed = false;

  constructor(watch: typeof watchEpoll = watchEpoll) {
    this.#epoll = check(epollCreate(EPOLL_CLOEXEC), 'epoll_create1');
    this.#watch = watch(this.#epoll, () => this.#dispatchAll());
  }

  /** Calls back once when `fd` is ready. Arming an armed descriptor replaces interest and callback. */
  arm(fd: number, interest: Interest, callback: (readiness: Readiness) => void): void {
    let watch = this.#watches.get(fd);
    if (watch === undefined) {
      watch = { generation: ++this.#generation, callback, registered: undefined };
      this.#register(fd, watch, interest);
      this.#watches.set(fd, watch);
      if (this.#watches.size === 1) this.#watch.start();
      return;
    }
    watch.callback = callback;
    if (watch.registered !== interest) this.#register(fd, watch, interest);
  }

  /** Resolves when `fd` is ready. */
  ready(fd: number, interest: Interest): Promise<Readiness> {
    return new Promise((resolve) => this.arm(fd, interest, resolve));
  }

  /** Forgets the descriptor. Must be called before it is closed. Unknown descriptors are ignored. */
  remove(fd: number): void {
    const watch = this.#watches.get(fd);
    if (watch === undefined) return;
    this.#watches.delete(fd);
    this.#unregister(fd, watch);
    if (this.#watches.size === 0) this.#watch.stop();
  }

  [Symbol.dispose](): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#watches.clear();
    this.#watch.close();
    closeSync(this.#epoll);
  }

  #register(fd: number, watch: Watch, interest: Interest): void {
    const operation = watch.registered === undefined ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    const event = this.#event;
    event.writeUInt32LE(interestBits[interest], 0);
    event.writeUInt32LE(fd, DATA_OFFSET);
    event.writeUInt32LE(watch.generation, DATA_OFFSET + 4);
    check(epollCtl(this.#epoll, operation, fd, event), 'epoll_ctl', `fd ${fd}`);
    watch.registered = interest;
  }

  #unregister(fd: number, watch: Watch): void {
    if (watch.registered === undefined) return;
    watch.registered = undefined;
    check(epollCtl(this.#epoll, EPOLL_CTL_DEL, fd, this.#event), 'epoll_ctl', `fd ${fd}`);
  }

  #dispatchAll(): void {
    if (this.#isClosed) return;
    const count = epollWait(this.#epoll, this.#events, MAX_EVENTS, 0);
    const now = performance.now();
    for (let i = 0; i < count; i++) this.#dispatch(i * EVENT_SIZE, now);
  }

  #dispatch(offset: number, at: number): void {
    const bits = this.#events.readUInt32LE(offset);
    const fd = this.#events.readUInt32LE(offset + DATA_OFFSET);
    const generation = this.#events.readUInt32LE(offset + DATA_OFFSET + 4);
    const watch = this.#watches.get(fd);
    if (watch === undefined || watch.generation !== generation) return; // removed while the event was on its way
    const { callback } = watch;
    watch.callback = undefined;
    callback?.({ isHungUp: (bits & EPOLLHUP) !== 0, isError: (bits & EPOLLERR) !== 0, at });
    // the kernel is told only of changes: whoever arms again within the callback, as a busy pump does, costs no call
    if (watch.callback === undefined && this.#watches.get(fd) === watch) this.#unregister(fd, watch);
  }
}

let shared: Poller | undefined;

/** The poller of this process. */
export function sharedPoller(): Poller {
  shared ??= new Poller();
  return shared;
}
