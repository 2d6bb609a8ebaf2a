/** The engine's own id, made once per data root. */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomicSync } from '@boxship/base';
import type { Parts } from '../parts.ts';

const known = new Map<string, string>();

export function engineId(parts: Parts): string {
  const path = join(parts.config.dataRoot, 'engine-id');
  let id = known.get(path);
  if (id === undefined) {
    try {
      id = readFileSync(path, 'utf8').trim();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      id = randomUUID();
      writeFileAtomicSync(path, id, { mode: 0o600 });
    }
    known.set(path, id);
  }
  return id;
}
