/** Reads overlay mounts back: which directories an overlay consists of. */
import type { Mount } from './snapshots/snapshotter.ts';

export interface OverlayDirectories {
  /** Absent in a read-only overlay. */
  readonly upper?: string;
  /** Nearest first. */
  readonly lowers: readonly string[];
  readonly isUserXattr: boolean;
}

/** The directories of a single overlay mount; undefined for anything else. */
export function overlayDirectories(mounts: readonly Mount[]): OverlayDirectories | undefined {
  const [only] = mounts;
  if (mounts.length !== 1 || only?.type !== 'overlay') return undefined;
  const value = (name: string): string | undefined =>
    only.options.find((option) => option.startsWith(`${name}=`))?.slice(name.length + 1);
  const upper = value('upperdir');
  const lowers = value('lowerdir')?.split(':') ?? [];
  return { lowers, isUserXattr: only.options.includes('userxattr'), ...(upper === undefined ? {} : { upper }) };
}

/** The directory behind a single bind mount; undefined for anything else. */
export function boundDirectory(
  mounts: readonly Mount[],
): { readonly path: string; readonly isReadOnly: boolean } | undefined {
  const [only] = mounts;
  if (mounts.length !== 1 || only === undefined) return undefined;
  if (only.type !== 'bind' && !only.options.includes('bind') && !only.options.includes('rbind')) return undefined;
  return { path: only.source, isReadOnly: only.options.includes('ro') };
}
