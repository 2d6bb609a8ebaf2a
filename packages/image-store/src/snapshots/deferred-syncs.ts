/**
 * Layers of images are called committed before their files are on the disk: their blobs are there already, so that they can be made
 * again. A cut of power takes with it what was not synced, which the start after it knows by the boot in their record, and drops.
 *
 *   commit ─▶ unsynced ── a while without commits, or somebody needs it ─▶ synced
 *                     └── another boot, or a failed sync ─▶ dropped, with the layers above
 *
 * Nothing that cannot be made again stands on an unsynced layer: who prepares a snapshot for anything but another layer waits
 * ({@link settled}).
 */
import { type Logger, messageOf } from '@boxship/base';
import { syncFilesystem } from '@boxship/linux';

/**
 * A pull commits layer after layer and ends with small writes of its own. A sync beside those makes them wait: a journal that orders data
 * before metadata writes all of the layer before it lets any fsync return.
 */
const quietMs = 1_000;

export interface DeferredSyncsOptions {
  /** In the file system of the snapshots. */
  readonly root: string;
  /** So many are on the disk now. */
  readonly onSynced: (ids: readonly number[]) => void;
  /** These will never be: the kernel has given up their pages. */
  readonly onLost: (ids: readonly number[]) => void;
  readonly log: Logger;
}

export class DeferredSyncs {
  readonly #options: DeferredSyncsOptions;
  readonly #unsynced = new Set<number>();
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> | undefined;

  constructor(options: DeferredSyncsOptions) {
    this.#options = options;
  }

  add(id: number): void {
    this.#unsynced.add(id);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.settled([...this.#unsynced]), quietMs).unref();
  }

  /** Waits until these are on the disk, or lost. */
  async settled(ids: readonly number[]): Promise<void> {
    while (ids.some((id) => this.#unsynced.has(id))) {
      this.#round ??= this.#sync().finally(() => {
        this.#round = undefined;
      });
      await this.#round;
    }
  }

  /** All of them. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.settled([...this.#unsynced]);
  }

  async #sync(): Promise<void> {
    const { root, onSynced, onLost, log } = this.#options;
    const ids = [...this.#unsynced];
    try {
      const failure = await syncFilesystem(root).then(() => undefined, messageOf);
      if (failure === undefined) onSynced(ids);
      else {
        // not tried again: a second sync succeeds, without the pages that the first one has lost
        log.error('layers cannot be put on the disk and are dropped', { error: failure });
        onLost(ids);
      }
    } catch (error) {
      log.warn('what became of layers cannot be recorded; the next start looks at them again', {
        error: messageOf(error),
      });
    } finally {
      for (const id of ids) this.#unsynced.delete(id);
    }
  }
}
