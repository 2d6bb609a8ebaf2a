/**
 * Reads a request body against its schema the way Go's decoder does, which is what all clients were written for: keys match
 * case-insensitively, unknown keys are ignored, `null` is "not set". Stricter in one point: the same key in two spellings is
 * refused, because two readers could disagree on which one counts.
 */
import { BoxshipError } from '@boxship/base';
import type { Static, TSchema } from 'typebox';

/** The parts of a JSON schema that our bodies use. */
interface Node {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly patternProperties?: Readonly<Record<string, Node>>;
  readonly items?: Node;
  readonly anyOf?: readonly Node[];
}

const maxDepth = 64;

/** @throws invalidArgument naming the field */
export function decodeBody<Schema extends TSchema>(schema: Schema, body: unknown): Static<Schema> {
  return decode(schema as unknown as Node, body, '', 0) as Static<Schema>;
}

function decode(node: Node, value: unknown, path: string, depth: number): unknown {
  if (depth > maxDepth) throw new BoxshipError('invalidArgument', `invalid JSON: ${path} is nested too deeply`);
  if (node.anyOf !== undefined) return decodeUnion(node.anyOf, value, path, depth);
  switch (node.type) {
    case 'string':
      if (typeof value === 'string') return value;
      break;
    case 'boolean':
      if (typeof value === 'boolean') return value;
      break;
    case 'integer':
      if (typeof value === 'number' && Number.isInteger(value)) return value;
      break;
    case 'number':
      if (typeof value === 'number') return value;
      break;
    case 'array':
      if (Array.isArray(value) && node.items !== undefined) {
        const items = node.items;
        return value
          .filter((item) => item !== null)
          .map((item, index) => decode(items, item, `${path}[${index}]`, depth + 1));
      }
      break;
    case 'object':
      if (typeof value === 'object' && value !== null && !Array.isArray(value))
        return decodeObject(node, value as Record<string, unknown>, path, depth);
      break;
  }
  const got = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
  throw new BoxshipError(
    'invalidArgument',
    `invalid JSON: cannot unmarshal ${got} into field ${path === '' ? 'of the body' : path} of type ${node.type ?? 'unknown'}`,
  );
}

function decodeUnion(variants: readonly Node[], value: unknown, path: string, depth: number): unknown {
  const kind = Array.isArray(value) ? 'array' : typeof value;
  const variant = variants.find((candidate) => candidate.type === kind) ?? variants[0];
  return decode(variant ?? {}, value, path, depth);
}

function decodeObject(node: Node, value: Record<string, unknown>, path: string, depth: number): unknown {
  // null prototype: a label called __proto__ is a label
  const result = Object.create(null) as Record<string, unknown>;
  const values = Object.values(node.patternProperties ?? {})[0];
  if (values !== undefined) {
    for (const [key, item] of Object.entries(value)) {
      if (item === null) result[key] = values.type === 'array' ? [] : values.type === 'object' ? {} : '';
      else result[key] = decode(values, item, `${path}[${key}]`, depth + 1);
    }
    return result;
  }
  const properties = node.properties ?? {};
  const spellings = spellingsOf(properties);
  const seen = new Set<string>();
  for (const [key, item] of Object.entries(value)) {
    const name = Object.hasOwn(properties, key) ? key : spellings.get(key.toLowerCase());
    if (name === undefined) continue;
    const field = path === '' ? name : `${path}.${name}`;
    if (seen.has(name)) throw new BoxshipError('invalidArgument', `invalid JSON: field ${field} is given twice`);
    seen.add(name);
    const child = properties[name];
    if (item !== null && child !== undefined) result[name] = decode(child, item, field, depth + 1);
  }
  return result;
}

const spellingCache = new WeakMap<object, Map<string, string>>();
function spellingsOf(properties: Readonly<Record<string, Node>>): Map<string, string> {
  let spellings = spellingCache.get(properties);
  if (spellings === undefined) {
    spellings = new Map(Object.keys(properties).map((name) => [name.toLowerCase(), name]));
    spellingCache.set(properties, spellings);
  }
  return spellings;
}
