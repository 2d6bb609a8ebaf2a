/** fmt.Sprintf for the verbs that templates use: %v %+v %#v %T %s %q %d %x %X %o %b %c %t %e %f %g %%, with width and precision. */
import { quote, show } from './value.ts';

export function sprintf(format: string, values: readonly unknown[]): string {
  let next = 0;
  const text = format.replace(
    /%([-+# 0]*)(\*|\d+)?(?:\.(\*|\d+)?)?([a-zA-Z%])/g,
    (whole, flags: string, width: string | undefined, precision: string | undefined, verb: string) => {
      if (verb === '%') return '%';
      const size = width === '*' ? Number(values[next++]) : width === undefined ? 0 : Number(width);
      const digits =
        precision === '*'
          ? Number(values[next++])
          : precision === undefined
            ? whole.includes('.')
              ? 0
              : undefined
            : Number(precision);
      if (next >= values.length) return `%!${verb}(MISSING)`;
      const body = formatOne(verb, flags, digits, values[next++]);
      if (body.length >= size) return body;
      if (flags.includes('-')) return body.padEnd(size);
      const isNumber = /[dxXobeEfFgG]/.test(verb);
      if (flags.includes('0') && isNumber)
        return body.startsWith('-') ? `-${body.slice(1).padStart(size - 1, '0')}` : body.padStart(size, '0');
      return body.padStart(size);
    },
  );
  if (next >= values.length) return text;
  return `${text}%!(EXTRA ${values
    .slice(next)
    .map((value) => `${typeOf(value)}=${show(value)}`)
    .join(', ')})`;
}

function formatOne(verb: string, flags: string, digits: number | undefined, value: unknown): string {
  const isNumber = typeof value === 'number' || typeof value === 'bigint';
  const signed = (text: string) => (flags.includes('+') && !text.startsWith('-') ? `+${text}` : text);
  switch (verb) {
    case 'v':
      return isNumber ? signed(String(value)) : show(value);
    case 's':
      return digits === undefined ? show(value) : [...show(value)].slice(0, digits).join('');
    case 'q':
      return typeof value === 'number'
        ? `'${String.fromCodePoint(value)}'`
        : Array.isArray(value)
          ? `[${value.map((item) => quote(show(item))).join(' ')}]`
          : quote(show(value));
    case 'T':
      return typeOf(value);
    case 't':
      if (typeof value === 'boolean') return String(value);
      break;
    case 'd':
      if (isNumber && Number.isInteger(Number(value))) return signed(String(value));
      break;
    case 'c':
      if (typeof value === 'number') return String.fromCodePoint(value);
      break;
    case 'x':
    case 'X': {
      if (!isNumber && typeof value !== 'string') break;
      const hex = typeof value === 'string' ? Buffer.from(value).toString('hex') : value.toString(16);
      const text = `${flags.includes('#') ? '0x' : ''}${hex}`;
      return verb === 'X' ? text.toUpperCase() : text;
    }
    case 'o':
    case 'b':
      if (isNumber) return value.toString(verb === 'o' ? 8 : 2);
      break;
    case 'f':
    case 'F':
      if (isNumber) return signed(Number(value).toFixed(digits ?? 6));
      break;
    case 'e':
      if (isNumber)
        return Number(value)
          .toExponential(digits ?? 6)
          .replace(/e([+-])(\d)$/, 'e$10$2');
      break;
    case 'g':
      if (isNumber)
        return digits === undefined ? String(value) : String(Number(Number(value).toPrecision(digits || 1)));
  }
  return `%!${verb}(${typeOf(value)}=${show(value)})`;
}

function typeOf(value: unknown): string {
  if (value === null || value === undefined) return '<nil>';
  if (typeof value === 'number') return Number.isInteger(value) ? 'int' : 'float64';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'string') return 'string';
  return Array.isArray(value) ? '[]interface {}' : 'map[string]interface {}';
}
