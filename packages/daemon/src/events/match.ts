/** The filters of `GET /events`. */
import type { EventMessage } from '@boxship/engine-api';
import type { ApiFilters } from '../http/filters.ts';

export const eventFilterKeys = [
  'config', 'container', 'daemon', 'event', 'image', 'label', 'network', 'node', 'plugin', 'scope', 'secret',
  'service', 'type', 'volume',
]; // biome-ignore format: a list

/** Actions that carry more after the verb. */
const withSuffix = ['health_status', 'exec_create', 'exec_start'];

export function eventMatcher(filters: ApiFilters): (event: EventMessage) => boolean {
  const any = (key: string, test: (value: string) => boolean): boolean => filters.get(key)?.some(test) ?? true;
  const actor = (event: EventMessage, type: string) =>
    any(type, (value) => {
      if (event.Type !== type) return event.Actor.Attributes[type] === value;
      return event.Actor.ID === value || event.Actor.ID.startsWith(value) || event.Actor.Attributes['name'] === value;
    });
  return (event) =>
    any('type', (value) => event.Type === value) &&
    any('event', (value) => event.Action === value || (withSuffix.includes(value) && event.Action.startsWith(value))) &&
    any('scope', (value) => event.scope === value) &&
    actor(event, 'container') &&
    actor(event, 'network') &&
    actor(event, 'volume') &&
    actor(event, 'daemon') &&
    actor(event, 'plugin') &&
    any('image', (value) => {
      const name = event.Type === 'image' ? event.Actor.ID : (event.Actor.Attributes['image'] ?? '');
      return name === value || name.split(':')[0] === value || event.Actor.Attributes['name'] === value;
    }) &&
    (filters.get('label') ?? []).every((wanted) => {
      const [key = '', value] = wanted.split(/=(.*)/s, 2);
      const has = event.Actor.Attributes[key];
      return has !== undefined && (value === undefined || has === value);
    });
}
