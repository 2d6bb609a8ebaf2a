/**
 * Readiness of descriptors that libuv does not watch: pidfds, eventfds, FIFOs that are moved with splice(2), console
 * sockets. One epoll instance and one waiting pool thread serve any number of descriptors; a callback fires once per
 * {@link Poller.arm}, and arms again when it wants more. The thread exists only while something is armed.
 */
import { closeSync } from 'node:fs';
import { callAsync, check, declare } from './libc.ts';

const epollCreate = declare('int epoll_create1(int flags)');
const epollCtl = declare('int epoll_ctl(int epfd, int op, int fd, void *event)');
const epollWait = declare('int epoll_wait(int epfd, void *events, int maxevents, int timeout)');
const eventfd = declare('int eventfd(unsigned int initval, int flags)');
const readFd = declare('int64_t read(int fd, void *buf, size_t count)');
const writeFd = declare('int64_t write(int fd, const void *buf, size_t count)');

const EPOLL_CLOEXEC = 0x80000;
const EFD_CLOEXEC_NONBLOCK = 0x80800;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLL_CTL_MOD = 3;
const EPOLLIN = 0x1;
const EPOLLPRI = 0x2;
const EPOLLOUT = 0x4;
const EPOLLERR = 0x8;
const EPOLLHUP = 0x10;
const EPOLLONESHOT = 0x40000000;
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
}

interface Watch {
  readonly generation: number;
  callback: ((readiness: Readiness) => void) | undefined;
}

export class Poller implements Disposable {
  readonly #epoll: number;
  readonly #wake: number;
  readonly #watches = new Map<number, Watch>();
  readonly #events = Buffer.alloc(MAX_EVENTS * EVENT_SIZE);
  #generation = 0;
  #isWaiting = false;
  #isClosed = false;
  readonly #onExit = () => this.#wakeThread();

  constructor() {
    this.#epoll = check(epollCreate(EPOLL_CLOEXEC), 'epoll_create1');
    this.#wake = check(eventfd(0, EFD_CLOEXEC_NONBLOCK), 'eventfd');
    this.#control(EPOLL_CTL_ADD, this.#wake, EPOLLIN, 0);
    // exit joins the pool's threads: one that sits in epoll_wait would keep the process from ending
    process.on('exit', this.#onExit);
  }

  /** Calls back once when `fd` is ready. Arming an armed descriptor replaces interest and callback. */
  arm(fd: number, interest: Interest, callback: (readiness: Readiness) => void): void {
    const known = this.#watches.get(fd);
    const watch: Watch = known ?? { generation: ++this.#generation, callback };
    watch.callback = callback;
    const operation = known === undefined ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    this.#control(operation, fd, interestBits[interest] | EPOLLONESHOT, watch.generation);
    this.#watches.set(fd, watch);
    this.#run();
  }

  /** Resolves when `fd` is ready. */
  ready(fd: number, interest: Interest): Promise<Readiness> {
    return new Promise((resolve) => this.arm(fd, interest, resolve));
  }

  /** Forgets the descriptor. Must be called before it is closed. Unknown descriptors are ignored. */
  remove(fd: number): void {
    if (!this.#watches.delete(fd)) return;
    this.#control(EPOLL_CTL_DEL, fd, 0, 0);
    if (this.#watches.size === 0) this.#wakeThread();
  }

  [Symbol.dispose](): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#watches.clear();
    process.off('exit', this.#onExit);
    if (this.#isWaiting) this.#wakeThread();
    else this.#close();
  }

  #close(): void {
    closeSync(this.#epoll);
    closeSync(this.#wake);
  }

  #wakeThread(): void {
    const one = Buffer.alloc(8);
    one.writeBigUInt64LE(1n);
    writeFd(this.#wake, one, 8); // fails only when 2^64-1 wake-ups are pending: then it is awake anyway
  }

  #control(operation: number, fd: number, events: number, generation: number): void {
    const event = Buffer.alloc(EVENT_SIZE);
    event.writeUInt32LE(events >>> 0, 0);
    event.writeUInt32LE(fd, DATA_OFFSET);
    event.writeUInt32LE(generation, DATA_OFFSET + 4);
    check(epollCtl(this.#epoll, operation, fd, event), 'epoll_ctl', `fd ${fd}`);
  }

  #run(): void {
    if (this.#isWaiting || this.#isClosed) return;
    this.#isWaiting = true;
    void this.#loop();
  }

  async #loop(): Promise<void> {
    while (this.#watches.size > 0) {
      const { result } = await callAsync(epollWait, this.#epoll, this.#events, MAX_EVENTS, -1);
      // a negative result is EINTR (a debugger, SIGSTOP and SIGCONT): wait again
      for (let i = 0; i < result; i++) this.#dispatch(i * EVENT_SIZE);
    }
    this.#isWaiting = false;
    if (this.#isClosed) this.#close();
  }

  #dispatch(at: number): void {
    const bits = this.#events.readUInt32LE(at);
    const fd = this.#events.readUInt32LE(at + DATA_OFFSET);
    const generation = this.#events.readUInt32LE(at + DATA_OFFSET + 4);
    if (generation === 0) {
      readFd(this.#wake, Buffer.alloc(8), 8);
      return;
    }
    const watch = this.#watches.get(fd);
    if (watch === undefined || watch.generation !== generation) return; // removed while the event was on its way
    const { callback } = watch;
    watch.callback = undefined;
    callback?.({ isHungUp: (bits & EPOLLHUP) !== 0, isError: (bits & EPOLLERR) !== 0 });
  }
}

let shared: Poller | undefined;

/** The poller of this process. */
export function sharedPoller(): Poller {
  shared ??= new Poller();
  return shared;
}
