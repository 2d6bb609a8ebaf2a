/** Go's view of JSON values: truth, order, and the way `fmt.Print` shows them. */

/** Go's truth: false, 0, nil, and empty text, list or map are false. */
export function isTrue(value: unknown): boolean {
  if (value === undefined || value === null) return false;
  if (typeof value === 'object') return Array.isArray(value) ? value.length > 0 : Object.keys(value).length > 0;
  return value !== false && value !== 0 && value !== '' && value !== 0n;
}

/** As `%v` prints it. */
export function show(value: unknown): string {
  if (value === undefined) return '<no value>';
  if (value === null) return '<nil>';
  if (Array.isArray(value)) return `[${value.map(show).join(' ')}]`;
  if (typeof value === 'object') {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `map[${entries.map(([key, item]) => `${key}:${show(item)}`).join(' ')}]`;
  }
  return String(value);
}

/** As fmt.Print joins operands: a space between two when neither is text. */
export function print(values: readonly unknown[]): string {
  return values
    .map((value, index) => {
      const previous = values[index - 1];
      return index > 0 && typeof value !== 'string' && typeof previous !== 'string' ? ` ${show(value)}` : show(value);
    })
    .join('');
}

/** As `%q` quotes. */
export function quote(text: string): string {
  return JSON.stringify(text);
}

/** encoding/json without HTML escaping, which is how docker's `json` function prints. */
export function toJson(value: unknown): string {
  return JSON.stringify(value ?? null, (_, item: unknown) => (typeof item === 'bigint' ? Number(item) : item));
}
