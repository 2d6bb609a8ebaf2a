/**
 * The contract of a pool of volumes: file systems of their own that are copied on write. Drivers: `ThinPool` (device mapper),
 * `ZfsPool`.
 *
 * Life cycle of a volume
 *   create / copy ─▶ active ── seal ── deactivate ─▶ sealed: may be copied ── delete ─▶ gone
 *
 * The pool is one snapshotter's alone. Errors by kind: alreadyExists (the name is taken), resourceExhausted (the pool is full),
 * unavailable (in use, or copies of it are left), failedPrecondition (the pool is not there).
 */
import type { Mount } from '../snapshotter.ts';

export interface Volume {
  readonly name: string;
  /** What its file system may hold; 0 where the pool sets no limit. */
  readonly sizeBytes: number;
}

export interface VolumePool {
  /** A volume to be made, with a name by chance. */
  newVolume(): Volume;
  /** @throws resourceExhausted when the pool takes nothing more, failedPrecondition when it is not there */
  checkSpace(): Promise<void>;
  /** Makes it with an empty file system whose root has mode 0755, active. @throws alreadyExists */
  create(volume: Volume): Promise<void>;
  /** Makes it with what `origin`, which is sealed, holds; active. @throws alreadyExists */
  copy(volume: Volume, origin: Volume): Promise<void>;
  /** Lets it be mounted, also after a restart of the host. */
  activate(volume: Volume): Promise<void>;
  /** Everything written is on the disk, and what copies see from now on. */
  seal(volume: Volume): Promise<void>;
  /** Takes no more of the kernel than needed; a volume that is in use goes when its last user does. */
  deactivate(volume: Volume): Promise<void>;
  /** Does nothing when it is not there. @throws unavailable while it is in use or has copies */
  delete(volume: Volume): Promise<void>;
  /** How an active volume is mounted. */
  mount(volume: Volume, isReadOnly: boolean): Mount;
}
