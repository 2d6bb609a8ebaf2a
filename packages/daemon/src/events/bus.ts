/** Engine events: published once, kept in a ring for `since`, handed to every reader in order. */
import { Broadcast } from '@boxship/base';
import type { EventMessage } from '@boxship/engine-api';
import { nowNs } from '../clock.ts';

const keptEvents = 1024;

export interface EventBus {
  publish(type: string, action: string, id: string, attributes: Readonly<Record<string, string>>): void;
  /** Kept events, oldest first. */
  history(): readonly EventMessage[];
  subscribe(signal: AbortSignal): AsyncIterableIterator<EventMessage>;
  readonly listenerCount: number;
}

export function createEventBus(): EventBus {
  const broadcast = new Broadcast<EventMessage>(16_384);
  const kept: EventMessage[] = [];
  return {
    publish(type, action, id, attributes) {
      const timeNano = nowNs();
      const from = attributes['image'] ?? '';
      const legacy = type === 'container' || type === 'image';
      const event: EventMessage = {
        ...(legacy ? { status: action, id, ...(from === '' ? {} : { from }) } : {}),
        Type: type,
        Action: action,
        Actor: { ID: id, Attributes: { ...attributes } },
        scope: 'local',
        time: Number(timeNano / 1_000_000_000n),
        // beyond 2^53: written as a number all the same, the last digits are rounded
        timeNano: Number(timeNano),
      };
      kept.push(event);
      if (kept.length > keptEvents) kept.shift();
      broadcast.publish(event);
    },
    history: () => kept,
    subscribe: (signal) => broadcast.subscribe(signal),
    get listenerCount() {
      return broadcast.subscriberCount;
    },
  };
}
