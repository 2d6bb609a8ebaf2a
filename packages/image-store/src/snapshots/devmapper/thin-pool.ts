/**
 * A thin pool of the device mapper, through dmsetup(8). Devices have a number in the pool; one that is active is a block device
 * `/dev/mapper/<pool>-snap-<number>`. Facts: the kernel's Documentation/admin-guide/device-mapper/thin-provisioning.rst.
 *
 * Life cycle of a device
 *   create / snapshot ─▶ in the pool ── activate ─▶ block device ── deactivate ─▶ in the pool ── delete ─▶ gone
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { promisify } from 'node:util';
import { BoxshipError, messageOf } from '@boxship/base';

const timeoutMs = 60_000;
const sectorBytes = 512;

export class ThinPool {
  readonly #pool: string;

  /** @param pool name of an active pool, as `dmsetup ls` shows it */
  constructor(pool: string) {
    this.#pool = pool;
  }

  /** The block device, when it is active. */
  path(device: number): string {
    return `/dev/mapper/${this.#name(device)}`;
  }

  /** @throws resourceExhausted when the pool takes nothing more, failedPrecondition when it is not there */
  async checkSpace(): Promise<void> {
    const status = await this.#dmsetup('status', '--target', 'thin-pool', this.#pool);
    // 0 409600 thin-pool <transaction> <used>/<total metadata> <used>/<total data> <held root> rw|ro|out_of_data_space …
    const [, , , , metadata = '', data = '', , mode = ''] = status.trim().split(/\s+/);
    if (metadata === '')
      throw new BoxshipError('failedPrecondition', `${this.#pool} is no thin pool: ${status.trim()}`);
    const isFull = (share: string) => {
      const [used = 0, total = 0] = share.split('/').map(Number);
      return used >= total;
    };
    if (mode !== 'rw' || isFull(metadata) || isFull(data))
      throw new BoxshipError(
        'resourceExhausted',
        `thin pool ${this.#pool} takes nothing more (${mode}, metadata ${metadata}, data ${data} blocks): extend it`,
      );
  }

  /** An empty device. @throws alreadyExists when the pool has the number */
  async create(device: number): Promise<void> {
    await this.#message(device, `create_thin ${device}`);
  }

  /** A device with the blocks of `origin`, shared until one of both writes. @throws alreadyExists */
  async snapshot(device: number, origin: number): Promise<void> {
    // what an active origin has not written yet would be missing (thin-provisioning.rst, "Internal snapshots")
    const isActive = existsSync(this.path(origin));
    if (isActive) await this.#dmsetup('suspend', this.#name(origin));
    try {
      await this.#message(device, `create_snap ${device} ${origin}`);
    } finally {
      if (isActive) await this.#dmsetup('resume', this.#name(origin));
    }
  }

  /** Makes it a block device that stays. */
  async activate(device: number, sizeBytes: number): Promise<void> {
    if (existsSync(this.path(device))) {
      await this.#dmsetup('message', this.#name(device), '0', '@cancel_deferred_remove');
      return;
    }
    const table = `0 ${Math.floor(sizeBytes / sectorBytes)} thin /dev/mapper/${this.#pool} ${device}`;
    await this.#dmsetup('create', this.#name(device), '--table', table);
  }

  /** Everything written so far is on the disk, also what the pool knows about it. */
  async flush(device: number): Promise<void> {
    // the file system on it writes what it holds back
    await this.#dmsetup('suspend', this.#name(device));
    await this.#dmsetup('resume', this.#name(device));
    await using file = await open(this.path(device), 'r+');
    await file.sync(); // a flush of a thin device commits the pool's metadata
  }

  /** No block device any more; one that is in use goes when its last user does. */
  async deactivate(device: number): Promise<void> {
    if (existsSync(this.path(device))) await this.#dmsetup('remove', '--deferred', this.#name(device));
  }

  /** @throws unavailable while it is in use */
  async delete(device: number): Promise<void> {
    if (existsSync(this.path(device))) await this.#dmsetup('remove', '--retry', this.#name(device));
    await this.#message(device, `delete ${device}`).catch((error: unknown) => {
      if (!/No data available/.test(messageOf(error))) throw error; // ENODATA: the pool has no such device
    });
  }

  #name(device: number): string {
    return `${this.#pool}-snap-${device}`;
  }

  async #message(device: number, words: string): Promise<void> {
    try {
      await this.#dmsetup('message', this.#pool, '0', words);
    } catch (error) {
      if (!/File exists/.test(messageOf(error))) throw error;
      throw new BoxshipError('alreadyExists', `thin pool ${this.#pool} has a device ${device} already`, {
        cause: error,
      });
    }
  }

  async #dmsetup(...args: readonly string[]): Promise<string> {
    try {
      // the nodes in /dev/mapper are udev's, or dmsetup's own where no udev runs
      const { stdout } = await promisify(execFile)('dmsetup', ['--verifyudev', ...args], { timeout: timeoutMs });
      return stdout;
    } catch (cause) {
      const { stderr } = cause as { stderr?: string };
      const text = stderr === undefined || stderr === '' ? messageOf(cause) : stderr.trim();
      const kind = /busy/i.test(text) ? 'unavailable' : /No such device/.test(text) ? 'failedPrecondition' : 'internal';
      throw new BoxshipError(kind, `dmsetup ${args.join(' ')}: ${text}`, { cause });
    }
  }
}
