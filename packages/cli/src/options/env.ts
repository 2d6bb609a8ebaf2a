/** `-e` and `--env-file`, `-l` and `--label-file`. */
import { readFileSync } from 'node:fs';
import { BoxshipError } from '@boxship/base';

/** Lines of an env file: comments and empty lines are skipped, nothing is unquoted. @throws invalidArgument */
export function readKeyValueFile(path: string, lookup: (name: string) => string | undefined): string[] {
  let content: string;
  try {
    content = readFileSync(path, 'utf8');
  } catch (error) {
    throw new BoxshipError('invalidArgument', `open ${path}: no such file or directory`, { cause: error });
  }
  const values: string[] = [];
  for (const raw of content.replace(/^\uFEFF/, '').split(/\r?\n/)) {
    const line = raw.replace(/^[ \t]+/, '');
    if (line === '' || line.startsWith('#')) continue;
    const [name = ''] = line.split('=');
    if (name === '') throw new BoxshipError('invalidArgument', `no variable name on line '${line}'`);
    if (/\s/.test(name)) throw new BoxshipError('invalidArgument', `variable '${name}' contains whitespaces`);
    if (line.includes('=')) values.push(line);
    else {
      const value = lookup(name);
      if (value !== undefined) values.push(`${name}=${value}`);
    }
  }
  return values;
}

/** `K=V` as it is; `K` alone takes the value of our own environment, or is left out. */
export function resolveEnv(values: readonly string[]): string[] {
  return values.flatMap((value) => {
    if (value.startsWith('=') || value === '')
      throw new BoxshipError('invalidArgument', `invalid environment variable: ${value}`);
    if (value.includes('=')) return [value];
    const own = process.env[value];
    return own === undefined ? [] : [`${value}=${own}`];
  });
}

/** `k=v` pairs as a map; a key alone has an empty value. */
export function toMap(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=');
      return at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}
