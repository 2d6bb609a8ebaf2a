/** The fields of an envelope that filters see: `namespace`, `topic`, and text fields of the payload as `event.<name>`. */
import { decodeAny, type Envelope } from '@boxship/api';
import type { FieldLookup } from '@boxship/base';

export function eventLookup(envelope: Envelope): FieldLookup {
  return (path) => {
    const [first, ...rest] = path;
    if (first === 'namespace') return envelope.namespace;
    if (first === 'topic') return envelope.topic;
    if (first !== 'event' || envelope.event === undefined) return undefined;
    const decoded = decodeAny(envelope.event);
    if (decoded.kind === 'unknown') return undefined;
    let value: unknown = decoded.value;
    for (const [depth, name] of rest.entries()) {
      if (typeof value !== 'object' || value === null) return undefined;
      const fields = value as Record<string, unknown>;
      // a map key may hold dots: try the rest as one key before descending
      const whole = rest.slice(depth).join('.');
      if (typeof fields[whole] === 'string') return fields[whole];
      value = fields[camelCase(name)];
    }
    return typeof value === 'string' ? value : undefined;
  };
}

const camelCase = (name: string): string => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
