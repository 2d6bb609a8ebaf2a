/**
 * What CRIU has to be told of a container's stdio. The FIFOs are files of the host, which no process of the container could
 * open; CRIU takes such a file along only as a name, `file[<mount id>:<inode>]`, for which the restore brings a descriptor. So
 * the names go along with the image, in a file of ours, and any shim can restore it with FIFOs of its own.
 */
import { type BigIntStats, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BoxshipError } from '@boxship/base';
import { cgroupPids } from '@boxship/linux';
import type { Container } from './container.ts';

const streams = ['stdin', 'stdout', 'stderr'] as const;
type Stream = (typeof streams)[number];

export interface ExternalFile {
  /** CRIU's name of it, hexadecimal numbers. */
  readonly key: string;
  readonly stream: Stream;
}

/** `boxship.json` in the directory of the image. */
export interface ImageNotes {
  readonly version: 1;
  readonly files: readonly ExternalFile[];
  /** What the restore has to be allowed as the dump was. */
  readonly isTcpEstablished: boolean;
  readonly isExtUnixSk: boolean;
  readonly isShellJob: boolean;
  readonly isFileLocks: boolean;
  readonly emptyNamespaces: readonly string[];
}

const NOTES = 'boxship.json';

/** The FIFOs of its processes that are open anywhere in the container. */
export function externalFiles(container: Container): ExternalFile[] {
  const known = new Map<string, Stream>();
  for (const process of container.processes) {
    const prefix = container.prefixOf(process.record);
    for (const stream of streams) {
      const stat = statIfThere(`${prefix}.${stream}`);
      if (stat !== undefined) known.set(identity(stat), stream);
    }
  }
  const found = new Map<string, Stream>();
  const pids = container.cgroups === undefined ? [container.init.pid] : cgroupPids(container.cgroups);
  for (const pid of pids)
    for (const fd of listIfThere(`/proc/${pid}/fd`)) {
      const stat = statIfThere(`/proc/${pid}/fd/${fd}`);
      const stream = stat === undefined ? undefined : known.get(identity(stat));
      const mount = stream === undefined ? undefined : mountIdOf(pid, fd);
      if (stat !== undefined && stream !== undefined && mount !== undefined)
        found.set(`file[${mount.toString(16)}:${stat.ino.toString(16)}]`, stream);
    }
  return [...found].map(([key, stream]) => ({ key, stream }));
}

export function writeImageNotes(imagePath: string, notes: ImageNotes): void {
  writeFileSync(join(imagePath, NOTES), JSON.stringify(notes), { mode: 0o600 });
}

/** Undefined for an image that another shim has made. @throws invalidArgument when it is not what we write */
export function readImageNotes(imagePath: string): ImageNotes | undefined {
  let text: string;
  try {
    text = readFileSync(join(imagePath, NOTES), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const notes = JSON.parse(text) as ImageNotes;
  // the names become lines of CRIU's configuration
  const isSound = notes.version === 1 && Array.isArray(notes.files) && notes.files.every(isExternalFile);
  if (!isSound) throw new BoxshipError('invalidArgument', `${join(imagePath, NOTES)} is none that this shim can read`);
  return notes;
}

/** Lines for the restore, whose descriptors 0, 1 and 2 are the stdio to come: CRIU inherits them from the runtime. */
export const inheritedFiles = (notes: ImageNotes): string[] =>
  notes.files.map(({ key, stream }) => `inherit-fd fd[${streams.indexOf(stream)}]:${key}`);

const isExternalFile = ({ key, stream }: ExternalFile): boolean =>
  /^file\[[0-9a-f]+:[0-9a-f]+\]$/.test(key) && streams.includes(stream);

const identity = ({ dev, ino }: BigIntStats): string => `${dev}:${ino}`;

function mountIdOf(pid: number, fd: string): number | undefined {
  try {
    const id = /^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'latin1'))?.[1];
    return id === undefined ? undefined : Number(id);
  } catch {
    return undefined; // closed meanwhile
  }
}

function statIfThere(path: string): BigIntStats | undefined {
  try {
    const stat = statSync(path, { bigint: true });
    return stat.isFIFO() ? stat : undefined;
  } catch {
    return undefined; // no such stream, or closed meanwhile
  }
}

function listIfThere(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return []; // ended meanwhile
  }
}
