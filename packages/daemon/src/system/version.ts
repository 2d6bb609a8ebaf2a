/** `GET /version`. */
import type { VersionResponse } from '@boxship/engine-api';
import { maxApiVersion, minApiVersion } from '@boxship/engine-api';
import type { Parts } from '../parts.ts';
import { product } from '../product.ts';
import { runcVersion } from './runc-version.ts';

const buildTime = '2026-01-01T00:00:00.000000000+00:00';

export async function systemVersion(parts: Parts): Promise<VersionResponse> {
  const { host } = parts;
  const [containerd, runc] = await Promise.all([parts.containerd.version.version(), runcVersion(parts.config)]);
  return {
    Platform: { Name: product.name },
    Components: [
      {
        Name: 'Engine',
        Version: product.version,
        Details: {
          ApiVersion: maxApiVersion,
          Arch: host.architecture,
          BuildTime: buildTime,
          Experimental: 'false',
          GitCommit: product.own,
          GoVersion: process.version,
          KernelVersion: host.kernelVersion,
          MinAPIVersion: minApiVersion,
          Os: 'linux',
        },
      },
      { Name: 'containerd', Version: containerd.version, Details: { GitCommit: containerd.revision } },
      { Name: 'runc', Version: runc.version, Details: { GitCommit: runc.commit } },
      { Name: 'docker-init', Version: '', Details: { GitCommit: '' } },
    ],
    Version: product.version,
    ApiVersion: maxApiVersion,
    MinAPIVersion: minApiVersion,
    GitCommit: product.own,
    GoVersion: process.version,
    Os: 'linux',
    Arch: host.architecture,
    KernelVersion: host.kernelVersion,
    BuildTime: buildTime,
  };
}
