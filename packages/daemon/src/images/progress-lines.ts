/** Progress of pull and push as Docker's lines. A bar is drawn at most ten times a second per layer. */

import { formatSize } from '@boxship/base';
import type { ProgressMessage } from '@boxship/engine-api';
import type { LayerState, PullEvent, PushEvent, PushState } from '@boxship/image-store';

const pullStates: Readonly<Record<LayerState, string>> = {
  pulling: 'Pulling fs layer',
  waiting: 'Waiting',
  downloading: 'Downloading',
  verifying: 'Verifying Checksum',
  downloaded: 'Download complete',
  extracting: 'Extracting',
  complete: 'Pull complete',
  exists: 'Already exists',
};

const pushStates: Readonly<Record<PushState, string>> = {
  preparing: 'Preparing',
  waiting: 'Waiting',
  pushing: 'Pushing',
  pushed: 'Pushed',
  exists: 'Layer already exists',
  mounted: 'Mounted from',
};

const barWidth = 50;
const redrawMs = 100;

/** `[====>      ]  1.2MB/3MB`. */
export function progressBar(current: number, total: number): string {
  if (total <= 0) return formatSize(current);
  const filled = Math.min(barWidth, Math.floor((current / total) * barWidth));
  const bar =
    filled >= barWidth ? `${'='.repeat(barWidth)}>` : `${'='.repeat(filled)}>${' '.repeat(barWidth - filled)}`;
  return `[${bar}]  ${formatSize(current)}/${formatSize(total)}`;
}

/** Gives the line for an event; undefined when there is nothing (new) to show. */
export class ProgressLines {
  readonly #drawn = new Map<string, number>();

  pull(event: PullEvent): ProgressMessage | undefined {
    if (event.kind !== 'layer') return undefined;
    return this.#layer(event.digest.split(':')[1] ?? '', event.state, pullStates[event.state], event);
  }

  push(event: PushEvent): ProgressMessage | undefined {
    // configuration and manifests are pushed too, but not shown
    if (event.kind !== 'layer' || event.diffId === undefined) return undefined;
    const status = event.state === 'mounted' ? `${pushStates.mounted} ${event.from ?? ''}` : pushStates[event.state];
    return this.#layer(event.diffId.split(':')[1] ?? '', event.state, status, event);
  }

  #layer(
    hex: string,
    state: string,
    status: string,
    { current, total }: { readonly current?: number; readonly total?: number },
  ): ProgressMessage | undefined {
    const id = hex.slice(0, 12);
    if (current === undefined) return { status, progressDetail: {}, id };
    const now = performance.now();
    const key = `${id} ${state}`;
    if (now - (this.#drawn.get(key) ?? -redrawMs) < redrawMs && current !== total) return undefined;
    this.#drawn.set(key, now);
    const detail = total === undefined ? { current } : { current, total };
    return { status, progressDetail: detail, progress: progressBar(current, total ?? 0), id };
  }
}
