/**
 * The one door to the C library. Every kernel call of the project is declared through {@link declare} and returns through
 * {@link check}, which turns a negative result into an error that names the call, its subject and the errno.
 */
import { constants } from 'node:os';
import { BoxshipError } from '@boxship/base';
import koffi from 'koffi';
import { showPath } from './path-bytes.ts';

const libc = koffi.load('libc.so.6');

/** A foreign function: numbers, bigints, strings and buffers in, a number out. */
export type ForeignFunction = (...args: readonly unknown[]) => number;

/**
 * Declares a function of the C library by its prototype, e.g. `int umount2(const char *target, int flags)`.
 * Pass buffers where the prototype says `void *` or `uint8_t *`.
 */
export function declare(prototype: string): ForeignFunction {
  return libc.func(prototype) as unknown as ForeignFunction;
}

let ownSymbols: ReturnType<typeof koffi.load> | undefined;

/** As {@link declare}, of a function that this program exports itself: Node.js gives addons its zlib so. Undefined when it does not. */
export function declareExported(prototype: string): ForeignFunction | undefined {
  ownSymbols ??= koffi.load(null);
  try {
    return ownSymbols.func(prototype) as unknown as ForeignFunction;
  } catch {
    return undefined; // koffi has no other way to ask
  }
}

/** The same function called on a pool thread: for calls that block. libuv has four such threads; keep calls short. */
export function callAsync(
  fn: ForeignFunction,
  ...args: readonly unknown[]
): Promise<{ result: number; errno: number }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ result: number; errno: number }>();
  const asyncFunction = (fn as unknown as { async: (...args: unknown[]) => void }).async;
  asyncFunction(...args, (error: Error | null, result: number) => {
    // koffi keeps errno per thread; the value of the pool thread is handed over with the result
    if (error !== null) reject(error);
    else resolve({ result, errno: koffi.errno() });
  });
  return promise;
}

const names = new Map<number, string>(Object.entries(constants.errno).map(([name, value]) => [value, name]));

/** `ENOENT` for 2. */
export function errnoName(errno: number): string {
  return names.get(errno) ?? `errno ${errno}`;
}

export const lastErrno = (): number => koffi.errno();

/** Builds the error for a failed call. `code` in its details is the errno name. */
export function systemError(call: string, errno: number, subject?: string): BoxshipError {
  const code = errnoName(errno);
  const kind = BoxshipError.from(Object.assign(new Error(code), { code })).kind;
  return new BoxshipError(kind, subject === undefined ? `${call}: ${code}` : `${call} ${subject}: ${code}`, {
    details: { code, errno, call },
  });
}

/** Passes a result ≥ 0 through; throws {@link systemError} of the current errno otherwise. Bytes are decoded only then. */
export function check(result: number, call: string, subject?: string | Uint8Array): number {
  if (result >= 0) return result;
  const errno = koffi.errno();
  throw systemError(call, errno, subject === undefined || typeof subject === 'string' ? subject : showPath(subject));
}

/** The address of a buffer's first byte, for structures that point to others. The caller keeps the buffer alive. */
export function addressOf(buffer: Uint8Array): bigint {
  return koffi.address(buffer) as bigint;
}
