/**
 * zlib, called on this thread with the caller's memory on both sides. The streams of node:zlib allocate every piece of their output,
 * which for a layer is as much as the layer, hundreds of times what a collection of garbage is started for. The functions are those
 * that Node.js exports to addons (its headers have zlib.h).
 */
import { addressOf, declareExported } from '@boxship/linux';
import { malformed, overLimit } from '../limits.ts';

const zlibVersion = '1.2.11'; // what is compared with the library's is the first digit alone
const streamBytes = 112; // z_stream where pointers and `long` have 64 bits
const gzipWindow = 15 + 16;
const Z_NO_FLUSH = 0;
const Z_OK = 0;
const Z_STREAM_END = 1;
const Z_MEM_ERROR = -4;
const Z_BUF_ERROR = -5;

interface Functions {
  readonly init: (stream: Uint8Array, windowBits: number, version: string, size: number) => number;
  readonly inflate: (stream: Uint8Array, flush: number) => number;
  readonly reset: (stream: Uint8Array) => number;
  readonly end: (stream: Uint8Array) => number;
}

let functions: Functions | undefined | 'unknown' = 'unknown';

function find(): Functions | undefined {
  const is64Bit = ['x64', 'arm64', 'ppc64', 's390x', 'riscv64', 'loong64'].includes(process.arch);
  const init = declareExported('int inflateInit2_(uint8_t *stream, int windowBits, const char *version, int size)');
  const inflate = declareExported('int inflate(uint8_t *stream, int flush)');
  const reset = declareExported('int inflateReset(uint8_t *stream)');
  const end = declareExported('int inflateEnd(uint8_t *stream)');
  return is64Bit && init && inflate && reset && end ? { init, inflate, reset, end } : undefined;
}

/** Expands gzip: members one after the other, and zeros behind the last one, as the command and node:zlib do. */
export class GzipInflater implements Disposable {
  readonly #functions: Functions;
  readonly #memory = Buffer.alloc(streamBytes);
  readonly #words = new BigUint64Array(this.#memory.buffer, this.#memory.byteOffset, streamBytes / 8);
  readonly #counts = new Uint32Array(this.#memory.buffer, this.#memory.byteOffset, streamBytes / 4);
  #input: Uint8Array = new Uint8Array(0);
  #isBetweenMembers = false;
  #isOver = false;

  private constructor(found: Functions) {
    this.#functions = found;
    const code = found.init(this.#memory, gzipWindow, zlibVersion, streamBytes);
    if (code !== Z_OK) throw failure(code);
  }

  /** Undefined where Node.js does not export the functions, or its pointers have 32 bits. */
  static open(): GzipInflater | undefined {
    if (functions === 'unknown') functions = find();
    return functions === undefined ? undefined : new GzipInflater(functions);
  }

  /** Gives the next piece of input, which must stay as it is until {@link next} wants more. */
  push(input: Uint8Array): void {
    this.#input = input;
    if (input.length > 0) this.#words[0] = addressOf(input);
    this.#counts[2] = input.length;
  }

  /** Writes the next bytes to `output` and says how many; fewer than there is room for: give more input. @throws invalidArgument, resourceExhausted */
  next(output: Uint8Array): number {
    this.#words[3] = addressOf(output);
    this.#counts[8] = output.length;
    // zlib may hold output back that had no room, so it is asked without input, too
    while (this.#roomLeft > 0 && !this.#isOver) {
      if (this.#isBetweenMembers) {
        if (this.#left === 0) break;
        if (this.#input[this.#input.length - this.#left] === 0) {
          this.#isOver = true; // padding
          break;
        }
        this.#functions.reset(this.#memory);
        this.#isBetweenMembers = false;
      }
      const code = this.#functions.inflate(this.#memory, Z_NO_FLUSH);
      if (code === Z_STREAM_END) this.#isBetweenMembers = true;
      else if (code === Z_BUF_ERROR)
        break; // no progress without more of either
      else if (code !== Z_OK) throw failure(code);
    }
    return output.length - this.#roomLeft;
  }

  /** The input is over. @throws invalidArgument when it ended inside a member */
  finish(): void {
    if (!this.#isBetweenMembers) throw damaged('unexpected end of file');
  }

  [Symbol.dispose](): void {
    this.#functions.end(this.#memory);
  }

  get #left(): number {
    return this.#counts[2] as number;
  }

  get #roomLeft(): number {
    return this.#counts[8] as number;
  }
}

const damaged = (what: string) => malformed(`damaged gzip data: ${what}`);

function failure(code: number) {
  return code === Z_MEM_ERROR ? overLimit('no memory to expand gzip data') : damaged(`error ${code} of zlib`);
}
