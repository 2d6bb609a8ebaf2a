/** The field's programs in two generations: those of Debian 12, which are installed, and those of Debian 13 beside them. */

import { newerPrograms } from '../../src/host/newer-peers.ts';
import { completePath } from '../../src/host/tools.ts';

export interface Generation {
  readonly debian: 12 | 13;
  readonly dockerd: string;
  readonly containerd: string;
  readonly skopeo: string;
  /** Path of containerd's own shim. */
  readonly goShim: string;
  /** In which its programs are found first. */
  readonly env: Readonly<Record<string, string>>;
  /** Why its tests cannot run here. */
  readonly missing: string | undefined;
}

const newer = newerPrograms();
const path = completePath(process.env['PATH']);

export const debian12: Generation = {
  debian: 12,
  dockerd: '20.10',
  containerd: '1.6',
  skopeo: '1.9',
  goShim: '/usr/bin/containerd-shim-runc-v2',
  env: {},
  missing: undefined,
};

const debian13: Generation = {
  debian: 13,
  dockerd: '26.1',
  containerd: '1.7',
  skopeo: '1.18',
  goShim: `${newer}/containerd-shim-runc-v2`,
  env: newer === undefined ? {} : { PATH: `${newer}:${path}` },
  missing: newer === undefined ? 'the programs of Debian 13 are not here' : undefined,
};

export const generations: readonly Generation[] = [debian12, debian13];
