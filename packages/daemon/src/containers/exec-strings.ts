/** Arguments and environment of a process: what execve(2) cannot take is refused when it is said, not when it fails. */
import { BoxshipError } from '@boxship/base';

const maxBytes = 131_071; // MAX_ARG_STRLEN: 32 pages, with the final NUL

/** @param field as the API names it. @throws invalidArgument */
export function checkExecStrings(field: 'Cmd' | 'Entrypoint' | 'Env', strings: readonly string[]): void {
  for (const [index, text] of strings.entries()) {
    if (text.includes('\0'))
      throw new BoxshipError('invalidArgument', `${field}[${index}] contains a NUL: no program could be given it`);
    if (Buffer.byteLength(text) > maxBytes)
      throw new BoxshipError(
        'invalidArgument',
        `${field}[${index}] is longer than ${maxBytes} bytes, the most that the kernel takes in one string`,
      );
    if (field === 'Env' && (text === '' || text.startsWith('=')))
      throw new BoxshipError('invalidArgument', `invalid environment variable: ${text}`);
  }
}
