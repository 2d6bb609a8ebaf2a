/**
 * `containerd.services.streaming.v1.Streaming`: streams that a client opens under a name and then hands to Transfer for
 * progress, credentials or data. The first message is a StreamInit and is answered by an empty Any.
 */
import { Any, type CallContext, decodeAny, type ServiceHandlers, type streaming as wire } from '@boxship/api';
import { BoxshipError, withDeadline } from '@boxship/base';

/** The server's end of a named stream. */
export interface NamedStream {
  send(message: Any): void;
  /** The next message of the client; undefined at its end. */
  receive(): Promise<Any | undefined>;
  /** No more from the server. */
  end(): void;
}

const nameTimeoutMs = 10_000;

export class StreamRegistry {
  readonly #streams = new Map<string, PromiseWithResolvers<NamedStream>>();

  /** The stream that a client has opened or is about to open as `id`. @throws deadlineExceeded */
  async get(namespace: string, id: string): Promise<NamedStream> {
    const limit = { component: 'containerd', operation: 'waiting for stream', id, timeoutMs: nameTimeoutMs };
    return await withDeadline(limit, () => this.#slot(namespace, id).promise);
  }

  service(): ServiceHandlers<typeof wire.StreamingService> {
    return { stream: (requests, context) => this.#serve(requests, context) };
  }

  #slot(namespace: string, id: string): PromiseWithResolvers<NamedStream> {
    const key = `${namespace}/${id}`;
    let slot = this.#streams.get(key);
    if (slot === undefined) {
      slot = Promise.withResolvers<NamedStream>();
      this.#streams.set(key, slot);
    }
    return slot;
  }

  async *#serve(requests: AsyncIterable<Any>, context: CallContext): AsyncIterable<Any> {
    const { namespace } = context;
    const incoming = requests[Symbol.asyncIterator]();
    const first = await incoming.next();
    if (first.done === true) return;
    const init = decodeAny(first.value);
    if (init.kind !== 'message' || init.name !== 'containerd.services.streaming.v1.StreamInit')
      throw new BoxshipError('invalidArgument', 'the first message of a stream must be a StreamInit');
    const { id } = init.value as wire.StreamInit;
    const outgoing: Any[] = [];
    let isEnded = false;
    let wake: (() => void) | undefined;
    const stream: NamedStream = {
      send(message) {
        outgoing.push(message);
        wake?.();
      },
      async receive() {
        const next = await incoming.next();
        return next.done === true ? undefined : next.value;
      },
      end() {
        isEnded = true;
        wake?.();
      },
    };
    context.signal.addEventListener('abort', () => stream.end(), { once: true });
    this.#slot(namespace, id).resolve(stream);
    try {
      yield Any.fromPartial({});
      for (;;) {
        const next = outgoing.shift();
        if (next !== undefined) yield next;
        else if (isEnded) return;
        else
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
      }
    } finally {
      this.#streams.delete(`${namespace}/${id}`);
    }
  }
}
