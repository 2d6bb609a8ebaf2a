/**
 * The events of the first seconds after a restart that concern the tasks from before it. A client that was cut off subscribes
 * again a moment after the first shims have delivered the exits of the meantime: without these it would never hear of them.
 * A task created since has a client that was there to see it, and a client new to us is owed no past.
 */
import type { Envelope } from '@boxship/api';
import { eventLookup } from './event-lookup.ts';

// how long after a start a client may take to come back
const reconnectMs = 5_000;

export class RestartHistory {
  #events: Envelope[] = [];
  readonly #createdSince = new Set<string>();
  #isOver = false;

  constructor() {
    setTimeout(() => {
      this.#isOver = true;
      this.#events = [];
      this.#createdSince.clear();
    }, reconnectMs).unref();
  }

  add(envelope: Envelope): void {
    if (this.#isOver || !envelope.topic.startsWith('/tasks/')) return;
    const task = `${envelope.namespace}/${eventLookup(envelope)(['event', 'container_id'])}`;
    if (envelope.topic === '/tasks/create') this.#createdSince.add(task);
    if (!this.#createdSince.has(task)) this.#events.push(envelope);
  }

  /** What a subscriber of now is told first. */
  events(): readonly Envelope[] {
    return [...this.#events];
  }
}
