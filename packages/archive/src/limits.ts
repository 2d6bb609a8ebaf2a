/** How much an archive may ask for. Every archive is hostile until it has been read to its end. */
import { BoxshipError } from '@boxship/base';

export interface ArchiveLimits {
  readonly entries: number;
  /** Bytes of a path, of one of its components, and number of components. */
  readonly pathBytes: number;
  readonly componentBytes: number;
  readonly pathDepth: number;
  /** Bytes of one PAX record, and of all extended headers of one entry. */
  readonly paxRecordBytes: number;
  readonly paxBytes: number;
  readonly xattrBytes: number;
  readonly xattrs: number;
  /** Bytes of the uncompressed archive. */
  readonly sizeBytes: number;
  /** Uncompressed to compressed bytes, held from `ratioFromBytes` of output on. */
  readonly ratio: number;
  readonly ratioFromBytes: number;
}

const MiB = 1024 * 1024;

export const defaultLimits: ArchiveLimits = {
  entries: 5_000_000,
  pathBytes: 4096,
  componentBytes: 255,
  pathDepth: 256,
  paxRecordBytes: MiB,
  paxBytes: 4 * MiB,
  xattrBytes: 65_536,
  xattrs: 256,
  sizeBytes: 64 * 1024 * MiB,
  ratio: 1000,
  ratioFromBytes: 100 * MiB,
};

export const overLimit = (what: string): BoxshipError => new BoxshipError('resourceExhausted', `archive: ${what}`);
export const malformed = (what: string): BoxshipError => new BoxshipError('invalidArgument', `archive: ${what}`);
