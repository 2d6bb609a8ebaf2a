/**
 * What a program did to one directory, read from strace: each change with its data, in the order in which the kernel made them.
 * Nothing in the stores knows of it, so that what is replayed is what happens, SQLite's own writes included.
 */

/** Number of a file or directory; 0 is the watched directory itself. Names come and go, the inode stays. */
export type Inode = number;

export interface Entry {
  readonly directory: Inode;
  readonly name: string;
}

/** One change. `sync` makes what was done before `from` to one inode, or to all, survive a power cut. */
export type Change =
  | { readonly kind: 'link'; readonly at: Entry; readonly inode: Inode; readonly isDirectory: boolean }
  | { readonly kind: 'unlink'; readonly at: Entry }
  | { readonly kind: 'rename'; readonly from: Entry; readonly to: Entry; readonly inode: Inode }
  | { readonly kind: 'write'; readonly inode: Inode; readonly offset: number; readonly bytes: Buffer }
  | { readonly kind: 'truncate'; readonly inode: Inode; readonly size: number }
  | { readonly kind: 'sync'; readonly inode: Inode | 'all'; readonly from: number }
  /** A line that the program wrote to its file of acknowledgements. */
  | { readonly kind: 'say'; readonly text: string };

export const tracedCalls = [
  ...[
    'openat',
    'openat2',
    'close',
    'mkdir',
    'mkdirat',
    'rename',
    'renameat',
    'renameat2',
    'unlink',
    'unlinkat',
    'rmdir',
  ],
  ...['write', 'pwrite64', 'writev', 'pwritev', 'ftruncate', 'truncate', 'fsync', 'fdatasync', 'syncfs'],
  ...['link', 'linkat', 'symlink', 'symlinkat', 'mknodat', 'copy_file_range', 'sendfile', 'fallocate'],
] as const;

interface Call {
  readonly name: string;
  /** Arguments as strace writes them. */
  readonly args: readonly string[];
  readonly result: number;
  /** How many changes were made when it began. */
  readonly begun: number;
}

/** @throws Error for a call on the directory that is not modelled */
export function parseTrace(
  text: string,
  paths: { readonly root: string; readonly acknowledgements: string },
): Change[] {
  const tree = new LiveTree(paths.root);
  const changes: Change[] = [];
  let said = '';
  const unfinished = new Map<string, { readonly text: string; readonly begun: number }>();
  for (const line of text.split('\n')) {
    const call = completeCall(line, unfinished, changes.length);
    if (call === undefined || call.result < 0) continue;
    const written = ['write', 'writev'].includes(call.name) ? tree.pathOf(fdOf(call.args[0])) : undefined;
    if (written === paths.acknowledgements) {
      said += bytesOf(call.args.slice(1).join(',')).toString('utf8');
      const lines = said.split('\n');
      said = lines.pop() ?? '';
      for (const one of lines) changes.push({ kind: 'say', text: one });
    } else for (const change of tree.follow(call)) changes.push(change);
  }
  return changes;
}

/** The call that ends on this line, if one does: a call that other threads interrupt is written in two parts. */
function completeCall(
  line: string,
  unfinished: Map<string, { readonly text: string; readonly begun: number }>,
  at: number,
): Call | undefined {
  const [, pid = '', rest = ''] = /^(\d+) +(.*)$/s.exec(line) ?? [];
  if (rest.endsWith('<unfinished ...>')) {
    unfinished.set(pid, { text: rest.slice(0, -'<unfinished ...>'.length), begun: at });
    return undefined;
  }
  const resumed = /^<\.\.\. \w+ resumed>(.*)$/s.exec(rest);
  const first = resumed === null ? undefined : unfinished.get(pid);
  const whole = resumed === null ? rest : (first?.text ?? '') + resumed[1];
  const parts = /^(\w+)\((.*)\) += (-?\d+)/s.exec(whole);
  if (parts === null) return undefined;
  const [, name = '', args = '', result = ''] = parts;
  return { name, args: splitArguments(args), result: Number(result), begun: first?.begun ?? at };
}

/** Commas between arguments; texts are in hexadecimal, so that none stands inside of them. */
const splitArguments = (text: string): string[] => text.split(/, (?![^[{]*[\]}])/);
const fdOf = (text = ''): number => (text.startsWith('AT_FDCWD') ? -1 : Number(/^-?\d+/.exec(text)?.[0] ?? Number.NaN));
const bytesOf = (text: string): Buffer =>
  Buffer.concat(
    [...text.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map(([, hex = '']) => Buffer.from(hex.replaceAll('\\x', ''), 'hex')),
  );
const pathText = (text = ''): string => bytesOf(text).toString('utf8');

interface OpenFile {
  readonly path: string;
  readonly inode: Inode | undefined;
  position: number;
}

/** Names and descriptors as they are while the trace is read. */
class LiveTree {
  readonly #root: string;
  readonly #inodes = new Map<string, Inode>();
  readonly #sizes = new Map<Inode, number>();
  readonly #open = new Map<number, OpenFile>();
  #next = 1;

  constructor(root: string) {
    this.#root = root;
    this.#inodes.set(root, 0);
  }

  pathOf(fd: number): string | undefined {
    return this.#open.get(fd)?.path;
  }

  *follow(call: Call): Iterable<Change> {
    const [first, second, third, fourth] = call.args;
    switch (call.name) {
      case 'openat':
      case 'openat2':
        return yield* this.#opened(this.#resolve(first, second), third ?? '', call.result);
      case 'close':
        return void this.#open.delete(fdOf(first));
      case 'mkdir':
        return yield* this.#made(this.#resolve(undefined, first), true);
      case 'mkdirat':
        return yield* this.#made(this.#resolve(first, second), true);
      case 'rename':
        return yield* this.#renamed(this.#resolve(undefined, first), this.#resolve(undefined, second));
      case 'renameat':
      case 'renameat2':
        return yield* this.#renamed(this.#resolve(first, second), this.#resolve(third, fourth));
      case 'unlink':
      case 'rmdir':
        return yield* this.#removed(this.#resolve(undefined, first));
      case 'unlinkat':
        return yield* this.#removed(this.#resolve(first, second));
      case 'write':
      case 'writev': {
        const file = this.#open.get(fdOf(first));
        if (file?.inode === undefined) return;
        yield* this.#written(file.inode, file.position, bytesOf(second ?? '').subarray(0, call.result));
        file.position += call.result;
        return;
      }
      case 'pwrite64':
      case 'pwritev': {
        const inode = this.#open.get(fdOf(first))?.inode;
        if (inode !== undefined)
          yield* this.#written(inode, Number(fourth), bytesOf(second ?? '').subarray(0, call.result));
        return;
      }
      case 'ftruncate': {
        const inode = this.#open.get(fdOf(first))?.inode;
        if (inode !== undefined) yield* this.#cut(inode, Number(second));
        return;
      }
      case 'fsync':
      case 'fdatasync': {
        const inode = this.#open.get(fdOf(first))?.inode;
        if (inode !== undefined) yield { kind: 'sync', inode, from: call.begun };
        return;
      }
      case 'syncfs':
        if (this.#open.get(fdOf(first))?.inode !== undefined) yield { kind: 'sync', inode: 'all', from: call.begun };
        return;
      default:
        if (call.args.some((argument) => this.#isInside(pathText(argument)) || this.#open.get(fdOf(argument))?.inode))
          throw new Error(`the trace has a ${call.name} on the watched directory, which is not modelled`);
    }
  }

  #isInside = (path: string): boolean => path === this.#root || path.startsWith(`${this.#root}/`);

  #resolve(directory: string | undefined, path: string | undefined): string {
    const text = pathText(path);
    if (text.startsWith('/') || directory === undefined) return text.replace(/\/+$/, '');
    const base = this.#open.get(fdOf(directory))?.path;
    return base === undefined ? text : text === '' || text === '.' ? base : `${base}/${text}`;
  }

  #entry(path: string): Entry {
    const slash = path.lastIndexOf('/');
    const directory = this.#inodes.get(path.slice(0, slash));
    if (directory === undefined) throw new Error(`the trace makes ${path} in a directory that was not seen`);
    return { directory, name: path.slice(slash + 1) };
  }

  *#opened(path: string, flags: string, fd: number): Iterable<Change> {
    const isNew = this.#isInside(path) && flags.includes('O_CREAT') && !this.#inodes.has(path);
    if (isNew) yield* this.#made(path, false);
    const inode = this.#inodes.get(path);
    this.#open.set(fd, { path, inode, position: flags.includes('O_APPEND') ? (this.#sizes.get(inode ?? -1) ?? 0) : 0 });
    if (inode !== undefined && flags.includes('O_TRUNC') && (this.#sizes.get(inode) ?? 0) > 0)
      yield* this.#cut(inode, 0);
  }

  *#made(path: string, isDirectory: boolean): Iterable<Change> {
    if (!this.#isInside(path)) return;
    const inode = this.#next++;
    this.#inodes.set(path, inode);
    yield { kind: 'link', at: this.#entry(path), inode, isDirectory };
  }

  *#renamed(from: string, to: string): Iterable<Change> {
    const inode = this.#inodes.get(from);
    if (inode === undefined) return;
    const change: Change = { kind: 'rename', from: this.#entry(from), to: this.#entry(to), inode };
    for (const [path, one] of [...this.#inodes]) {
      if (path !== from && !path.startsWith(`${from}/`)) continue;
      this.#inodes.delete(path);
      this.#inodes.set(to + path.slice(from.length), one);
    }
    yield change;
  }

  *#removed(path: string): Iterable<Change> {
    if (!this.#inodes.has(path)) return;
    const at = this.#entry(path);
    this.#inodes.delete(path);
    yield { kind: 'unlink', at };
  }

  *#written(inode: Inode, offset: number, bytes: Buffer): Iterable<Change> {
    this.#sizes.set(inode, Math.max(this.#sizes.get(inode) ?? 0, offset + bytes.length));
    yield { kind: 'write', inode, offset, bytes };
  }

  *#cut(inode: Inode, size: number): Iterable<Change> {
    this.#sizes.set(inode, size);
    yield { kind: 'truncate', inode, size };
  }
}
