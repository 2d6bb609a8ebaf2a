/**
 * A netlink socket (netlink(7)) used synchronously: the kernel handles a request inside `send`, so its answers are there when
 * `send` returns and no wait is needed. A socket belongs to the network namespace in which it was opened, for ever.
 */
import { BoxshipError } from '@boxship/base';
import { callAsync, check, declare, errnoName, lastErrno, systemError } from '../libc.ts';
import {
  decodeMessages,
  encodeMessages,
  flags,
  type NetlinkMessage,
  parseAttributes,
  type ReceivedMessage,
  readText,
} from './codec.ts';

const openSocket = declare('int socket(int domain, int type, int protocol)');
const sendBytes = declare('long send(int fd, const void *data, size_t length, int flags)');
const receiveBytes = declare('long recv(int fd, void *data, size_t length, int flags)');
const setOption = declare('int setsockopt(int fd, int level, int name, const void *value, uint32_t length)');
const bindSocket = declare('int bind(int fd, const void *address, uint32_t length)');
const socketName = declare('int getsockname(int fd, void *address, void *length)');
const closeFd = declare('int close(int fd)');

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
const SO_SNDBUFFORCE = 32;
const SOL_NETLINK = 270;
const NETLINK_ADD_MEMBERSHIP = 1;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const MSG_DONTWAIT = 0x40;
const MSG_TRUNC = 0x20;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLM_F_DUMP_INTR = 0x10;
const NLM_F_CAPPED = 0x100;
const NLM_F_ACK_TLVS = 0x200;
const EAGAIN = 11;
const EINTR = 4;
const ENOBUFS = 105;

export const netlinkProtocol = { route: 0, netfilter: 12 } as const;
/** Multicast groups: of rtnetlink, and `nftables` of nfnetlink. */
export const netlinkGroup = {
  ...{ link: 1, neighbour: 3, ipv4Address: 5, ipv4Route: 7, ipv6Address: 9 },
  nftables: 7,
} as const;

/** One buffer for all sockets: reads are synchronous and everything kept is copied out of it. */
const receiveBuffer = Buffer.alloc(256 * 1024);

/** The kernel's refusal of one message. `details.code` is the errno name. */
export interface NetlinkFailure {
  readonly index: number;
  readonly error: BoxshipError;
}

export class NetlinkSocket implements Disposable {
  #fd: number;
  #isLossy = false;
  #sequence = (Date.now() & 0x7fffffff) >>> 0;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Opens a socket in the network namespace of the calling thread. @throws permissionDenied, unimplemented */
  static open(protocol: number): NetlinkSocket {
    const fd = check(openSocket(AF_NETLINK, SOCK_RAW_CLOEXEC, protocol), 'socket', 'AF_NETLINK');
    const one = Buffer.from([1, 0, 0, 0]);
    // refused on old kernels, where errors then come without their sentence
    setOption(fd, SOL_NETLINK, NETLINK_EXT_ACK, one, 4);
    setOption(fd, SOL_NETLINK, NETLINK_CAP_ACK, one, 4);
    const size = Buffer.alloc(4);
    size.writeUInt32LE(8 * 1024 * 1024);
    // large batches need room; without CAP_NET_ADMIN in the first user namespace the default stays
    setOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, size, 4);
    setOption(fd, SOL_SOCKET, SO_SNDBUFFORCE, size, 4);
    const address = Buffer.alloc(12);
    address.writeUInt16LE(AF_NETLINK, 0);
    if (bindSocket(fd, address, address.length) < 0) {
      const error = systemError('bind', lastErrno(), 'AF_NETLINK');
      closeFd(fd);
      throw error;
    }
    return new NetlinkSocket(fd);
  }

  /** Sends the messages in one call, each with an acknowledgement. @throws the error of the first message refused */
  execute(...messages: readonly NetlinkMessage[]): void {
    const failure = this.attempt(...messages)[0];
    if (failure !== undefined) throw failure.error;
  }

  /** As {@link execute}, but tells which messages failed instead of throwing: idempotent callers decide by errno. */
  attempt(...messages: readonly NetlinkMessage[]): readonly NetlinkFailure[] {
    return this.#failures(messages, this.#send(withAcks(messages)), messages.length);
  }

  /** As {@link execute} on a pool thread: for requests that wait inside the kernel (deleting a link takes 20 ms). */
  async executeAsync(...messages: readonly NetlinkMessage[]): Promise<void> {
    const first = this.#take(messages.length);
    const bytes = encodeMessages(withAcks(messages), first);
    const { result, errno } = await callAsync(sendBytes, this.#fd, bytes, bytes.length, 0);
    if (result < 0) throw systemError('send', errno, messages[0]?.subject);
    const failure = this.#failures(messages, first, messages.length)[0];
    if (failure !== undefined) throw failure.error;
  }

  /** Sends as is and gives the errors reported: for protocols with an acknowledgement policy of their own. */
  exchange(messages: readonly NetlinkMessage[]): readonly NetlinkFailure[] {
    return this.#failures(messages, this.#send(messages));
  }

  /** Asks for one object. @throws notFound and others as the kernel answers */
  query(message: NetlinkMessage): ReceivedMessage {
    const first = this.#send([message]);
    for (const received of this.#receiveAll()) {
      if (received.sequence !== first) continue;
      if (received.type !== NLMSG_ERROR) return { ...received, payload: Buffer.from(received.payload) };
      const error = failureOf(message, received);
      if (error !== undefined) throw error;
    }
    throw new BoxshipError('internal', `netlink: no answer to: ${message.subject}`);
  }

  /** Asks for all objects of a kind. A dump that a concurrent change tore is repeated. */
  dump(message: NetlinkMessage): ReceivedMessage[] {
    for (let attempt = 0; ; attempt++) {
      const first = this.#send([{ ...message, flags: message.flags | flags.request | flags.dump }]);
      const found: ReceivedMessage[] = [];
      let isDone = false;
      let isTorn = false;
      while (!isDone) {
        const batch = this.#receive();
        if (batch === undefined) throw new BoxshipError('internal', `netlink: dump ended early: ${message.subject}`);
        for (const received of batch) {
          if (received.sequence !== first) continue;
          isTorn ||= (received.flags & NLM_F_DUMP_INTR) !== 0;
          if (received.type === NLMSG_DONE) isDone = true;
          else if (received.type === NLMSG_ERROR)
            throw failureOf(message, received) ?? new BoxshipError('internal', message.subject);
          else found.push({ ...received, payload: Buffer.from(received.payload) });
        }
      }
      if (!isTorn || attempt >= 10) return found;
    }
  }

  /** From now on receives what happens to a kind of object: {@link netlinkGroup}. Such a socket is for {@link drain} only. */
  subscribe(group: number): void {
    const value = Buffer.alloc(4);
    value.writeUInt32LE(group);
    check(setOption(this.#fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, value, 4), 'setsockopt', 'NETLINK_ADD_MEMBERSHIP');
  }

  /** The notifications that have arrived; does not wait. `isLossy`: there were so many that some were dropped. */
  drain(): { readonly messages: readonly ReceivedMessage[]; readonly isLossy: boolean } {
    const messages: ReceivedMessage[] = [];
    // copied one by one: the next datagram is read into the same buffer
    for (const message of this.#receiveAll()) messages.push({ ...message, payload: Buffer.from(message.payload) });
    const isLossy = this.#isLossy;
    this.#isLossy = false;
    return { messages, isLossy };
  }

  /** The address of this socket, as notifications name it. */
  get port(): number {
    const address = Buffer.alloc(12);
    check(socketName(this.#fd, address, Buffer.from([address.length, 0, 0, 0])), 'getsockname', 'AF_NETLINK');
    return address.readUInt32LE(4);
  }

  [Symbol.dispose](): void {
    if (this.#fd >= 0) closeFd(this.#fd);
    this.#fd = -1;
  }

  #take(count: number): number {
    const first = this.#sequence;
    this.#sequence = (this.#sequence + count) >>> 0;
    return first;
  }

  #send(messages: readonly NetlinkMessage[]): number {
    const first = this.#take(messages.length);
    const bytes = encodeMessages(messages, first);
    for (;;) {
      if (sendBytes(this.#fd, bytes, bytes.length, 0) >= 0) return first;
      const errno = lastErrno();
      if (errno !== EINTR) throw systemError('send', errno, messages[0]?.subject);
    }
  }

  /** The messages of the next datagram; undefined when there is none. */
  #receive(): ReceivedMessage[] | undefined {
    for (;;) {
      const length = receiveBytes(this.#fd, receiveBuffer, receiveBuffer.length, MSG_DONTWAIT | MSG_TRUNC);
      if (length >= 0) return decodeMessages(receiveBuffer.subarray(0, Math.min(length, receiveBuffer.length)));
      const errno = lastErrno();
      if (errno === EAGAIN) return undefined;
      // ENOBUFS tells once that messages were dropped; what follows is whole again
      if (errno === ENOBUFS) this.#isLossy = true;
      else if (errno !== EINTR) throw systemError('recv', errno, 'AF_NETLINK');
    }
  }

  *#receiveAll(): Generator<ReceivedMessage> {
    for (let batch = this.#receive(); batch !== undefined; batch = this.#receive()) yield* batch;
  }

  /** @param expected how many answers there are; absent: whatever the kernel sends */
  #failures(messages: readonly NetlinkMessage[], first: number, expected = Number.POSITIVE_INFINITY): NetlinkFailure[] {
    const failures: NetlinkFailure[] = [];
    let answered = 0;
    for (const received of this.#receiveAll()) {
      if (received.type !== NLMSG_ERROR) continue;
      const index = (received.sequence - first) >>> 0;
      const message = messages[index];
      if (message === undefined) continue; // belongs to an earlier request that was given up
      const error = failureOf(message, received);
      if (error !== undefined) failures.push({ index, error });
      if (++answered === expected) break;
    }
    return failures;
  }
}

function withAcks(messages: readonly NetlinkMessage[]): NetlinkMessage[] {
  return messages.map((message) => ({ ...message, flags: message.flags | flags.request | flags.ack }));
}

/** The error in an NLMSG_ERROR; undefined when it acknowledges. Layout: i32 −errno, echoed header, extended attributes. */
function failureOf(message: NetlinkMessage, received: ReceivedMessage): BoxshipError | undefined {
  const errno = -received.payload.readInt32LE(0);
  if (errno === 0) return undefined;
  const base = systemError('netlink', errno, message.subject);
  if ((received.flags & NLM_F_ACK_TLVS) === 0) return base;
  const echoed = (received.flags & NLM_F_CAPPED) !== 0 ? 16 : received.payload.readUInt32LE(4);
  const sentence = readText(parseAttributes(received.payload, 4 + ((echoed + 3) & ~3)).get(1));
  return sentence === undefined
    ? base
    : new BoxshipError(base.kind, `netlink ${message.subject}: ${errnoName(errno)}: ${sentence}`, {
        details: base.details,
      });
}

/** True when the error is one of the given errno names: `isErrno(error, 'EEXIST')`. */
export function isErrno(error: unknown, ...names: readonly string[]): boolean {
  return BoxshipError.is(error) && names.includes(String(error.details['code']));
}
