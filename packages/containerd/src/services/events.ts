/** `containerd.services.events.v1.Events`. Subscribe needs no namespace and shows all of them. */
import type { events, ServiceHandlers } from '@boxship/api';
import { BoxshipError } from '@boxship/base';
import type { EventExchange } from '../events/exchange.ts';

export function eventsService(exchange: EventExchange): ServiceHandlers<typeof events.EventsService> {
  return {
    async publish({ topic, event }, context) {
      exchange.publish(context.namespace, topic, event);
      return {};
    },
    async forward({ envelope }) {
      if (envelope === undefined) throw new BoxshipError('invalidArgument', 'envelope must be set');
      exchange.forward(envelope);
      return {};
    },
    subscribe({ filters }, context) {
      return exchange.subscribe(filters, context.signal);
    },
  };
}
