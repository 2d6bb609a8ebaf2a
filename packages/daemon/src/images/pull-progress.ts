/** Pull events in the words of Docker's progress stream. */
import { formatSize } from '@boxship/base';
import type { ProgressMessage } from '@boxship/engine-api';
import type { LayerState, PullEvent } from '@boxship/image-store';

const words: Readonly<Record<LayerState, string>> = {
  pulling: 'Pulling fs layer',
  waiting: 'Waiting',
  downloading: 'Downloading',
  verifying: 'Verifying Checksum',
  downloaded: 'Download complete',
  extracting: 'Extracting',
  complete: 'Pull complete',
  exists: 'Already exists',
};

const minIntervalMs = 100;

/** Turns events into messages; bars come at most ten times a second for each layer, changes of state always. */
export class PullProgress {
  readonly #last = new Map<string, { state: LayerState; time: number }>();

  message(event: PullEvent): ProgressMessage | undefined {
    if (event.kind === 'retrying' && event.digest !== undefined)
      return {
        status: `Retrying in ${event.seconds} second${event.seconds === 1 ? '' : 's'}`,
        progressDetail: {},
        id: shortId(event.digest),
      };
    if (event.kind !== 'layer') return undefined;
    const { digest, state, current, total } = event;
    const last = this.#last.get(digest);
    const now = performance.now();
    if (last?.state === state && now - last.time < minIntervalMs) return undefined;
    this.#last.set(digest, { state, time: now });
    const isCounting =
      (state === 'downloading' || state === 'extracting') && current !== undefined && total !== undefined && total > 0;
    if (!isCounting) return { status: words[state], progressDetail: {}, id: shortId(digest) };
    // unpacked bytes are counted too: they outgrow the compressed total
    const shown = Math.min(current, total);
    return {
      status: words[state],
      progressDetail: { current: shown, total },
      progress: bar(shown, total),
      id: shortId(digest),
    };
  }
}

const shortId = (digest: string): string => digest.replace(/^[^:]+:/, '').slice(0, 12);

/** Docker's fifty-cell bar: `[====>      ]  33kB/3MB`. */
export function bar(current: number, total: number): string {
  const percentage = Math.min(50, Math.floor((current / total) * 50));
  const cells = `${'='.repeat(percentage)}>${' '.repeat(Math.max(0, 50 - percentage))}`.slice(0, 51);
  return `[${cells}] ${formatSize(current).padStart(8)}/${formatSize(total)}`;
}
