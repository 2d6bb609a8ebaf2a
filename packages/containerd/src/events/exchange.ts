/** The event bus: publish, forward, subscribe. No history but that of a restart; a slow reader delays nobody. */
import { type Any, type Envelope, encodeAny, nowTimestamp } from '@boxship/api';
import { BoxshipError, Broadcast, parseFilters, toGrpcStatus } from '@boxship/base';
import { checkNamespace } from '../rpc.ts';
import { eventLookup } from './event-lookup.ts';
import { RestartHistory } from './restart-history.ts';

interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
}

export class EventExchange {
  readonly #broadcast = new Broadcast<Envelope>();
  readonly #history = new RestartHistory();

  /** Publishes a message of ours under `topic`. */
  emit<T>(namespace: string, topic: string, name: string, codec: Codec<T>, event: T): void {
    // encodeAny needs only the encoding half of the codec
    this.publish(namespace, topic, encodeAny(name, codec as Parameters<typeof encodeAny<T>>[1], event));
  }

  /** Publishes a client's event, with the time of now. @throws invalidArgument for a bad topic */
  publish(namespace: string, topic: string, event: Any | undefined): void {
    this.forward({ timestamp: nowTimestamp(), namespace, topic, event });
  }

  /** Passes a shim's envelope on as it is. @throws invalidArgument */
  forward(envelope: Envelope): void {
    checkNamespace(envelope.namespace);
    checkTopic(envelope.topic);
    if (envelope.timestamp === undefined)
      throw new BoxshipError('invalidArgument', 'timestamp must be set on forwarded event');
    this.#history.add(envelope);
    this.#broadcast.publish(envelope);
  }

  /**
   * Every envelope from now on that matches one of the filters, after what the client may have missed while containerd was
   * away. @throws unknown (containerd's kind here) for a bad filter
   */
  subscribe(filters: readonly string[], signal: AbortSignal): AsyncIterable<Envelope> {
    let matches: ReturnType<typeof parseFilters>;
    try {
      matches = parseFilters(filters);
    } catch (error) {
      throw new BoxshipError(
        'unknown',
        `subscription error: failed parsing subscription filters: ${toGrpcStatus(error).message}`,
        { cause: error },
      );
    }
    const missed = this.#history.events();
    const all = this.#broadcast.subscribe(signal);
    return (async function* () {
      for (const envelope of missed) if (matches(eventLookup(envelope))) yield envelope;
      for await (const envelope of all) if (matches(eventLookup(envelope))) yield envelope;
    })();
  }
}

function checkTopic(topic: string): void {
  if (topic === '') throw new BoxshipError('invalidArgument', 'envelope topic "" not found: topic must not be empty');
  if (!topic.startsWith('/'))
    throw new BoxshipError('invalidArgument', `topic ${JSON.stringify(topic)} must start with '/'`);
  if (!/^(\/[A-Za-z0-9]+([._-][A-Za-z0-9]+)*)+$/.test(topic))
    throw new BoxshipError('invalidArgument', `topic ${JSON.stringify(topic)}: each component must be an identifier`);
}
