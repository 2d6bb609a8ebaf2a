import { chmodSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { writeFileAtomicSync } from '@boxship/base';
import { programPath } from './paths.ts';

/**
 * Writes the logger under its own name: our shim knows the name and does the work itself; a foreign shim runs the file, with
 * the Node that runs this engine, whatever is in its search path.
 */
export function writeLoggerProgram(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  writeFileAtomicSync(
    path,
    `#!/bin/sh\nexec '${process.execPath}' --no-warnings '${programPath('boxship-logger')}' "$@"\n`,
  );
  chmodSync(path, 0o755);
}
