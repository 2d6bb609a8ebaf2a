import type { ContainerConfig, HostConfig } from '@boxship/engine-api';
import { describe, expect, it } from 'vitest';
import type { ContainerRecord } from './model.ts';
import { planMountPoints } from './mount-points.ts';

const plan = (host: Partial<HostConfig>, volumes: Record<string, object> | null = null) =>
  planMountPoints({ Volumes: volumes } as ContainerConfig, host as HostConfig, {
    dataRoot: '/var/lib/boxship',
    recordOf: () =>
      ({
        mounts: [
          {
            type: 'volume',
            name: 'v',
            source: '/s',
            destination: '/d',
            mode: 'z',
            isReadWrite: true,
            propagation: '',
            isAnonymous: true,
          },
        ],
      }) as unknown as ContainerRecord,
  });

describe('planMountPoints', () => {
  it('reads -v', () => {
    expect(plan({ Binds: ['/h:/c', 'vol:/v', '/a', '/h2:/c2:ro,shared', 'nn:/n:nocopy'] })).toMatchObject([
      {
        type: 'bind',
        source: '/h',
        destination: '/c',
        mode: '',
        isReadWrite: true,
        propagation: 'rprivate',
        mayCreateSource: true,
      },
      { type: 'volume', name: 'vol', destination: '/v', mode: 'z', propagation: '' },
      { type: 'volume', destination: '/a', mode: '', isAnonymous: true },
      { type: 'bind', isReadWrite: false, mode: 'ro,shared', propagation: 'shared' },
      { type: 'volume', name: 'nn', isNoCopy: true },
    ]);
  });

  it('lets a bind of the engine root see its mounts go', () => {
    expect(plan({ Binds: ['/var:/v'] })).toMatchObject([{ propagation: 'rslave' }]);
    expect(plan({ Binds: ['/variant:/v'] })).toMatchObject([{ propagation: 'rprivate' }]);
  });

  it('adds the volumes of the image where nothing is mounted', () => {
    const mounts = plan({ Binds: ['/h:/data'], Tmpfs: { '/t': '' } }, { '/data': {}, '/t': {}, '/more': {} });
    expect(mounts.map((mount) => mount.destination)).toEqual(['/data', '/more']);
    expect(mounts[1]?.name).toMatch(/^[0-9a-f]{64}$/);
  });

  it('inherits without the right to remove', () => {
    const [mount] = plan({ VolumesFrom: ['other:ro'] });
    expect(mount).toMatchObject({ name: 'v', isReadWrite: false });
    expect(mount?.isAnonymous).toBeUndefined();
  });

  it.each([
    [
      { Binds: ['/x:relative'] },
      `invalid volume specification: '/x:relative': invalid mount config for type "bind": invalid mount path: 'relative' mount path must be absolute`,
    ],
    [{ Binds: ['v:/'] }, `destination can't be '/'`],
    [{ Binds: ['v:/proc'] }, 'is inside /proc'],
    [{ Binds: ['v:/a/../proc/self'] }, 'is inside /proc'],
    [{ Binds: ['v:/x:bad'] }, 'invalid mode: bad'],
    [{ Binds: ['v:/x:ro,rw'] }, 'invalid mode: ro,rw'],
    [{ Binds: ['aa:/x', 'bb:/x/'] }, 'Duplicate mount point: /x'],
    [{ Binds: ['../up:/x'] }, 'includes invalid characters for a local volume name'],
    [
      { Mounts: [{ Type: 'bind', Source: '/nosuch-dir', Target: '/x' }] },
      'bind source path does not exist: /nosuch-dir',
    ],
    [{ Mounts: [{ Type: 'bind', Target: '/x' }] }, 'field Source must not be empty'],
    [{ Mounts: [{ Type: 'nosuch', Target: '/x' }] }, 'mount type unknown: "nosuch"'],
    [
      { Mounts: [{ Type: 'volume', Source: 'vol', Target: '/x', VolumeOptions: { Subpath: '../up' } }] },
      'subpath must be a relative path',
    ],
  ] as const)('refuses %j', (host, text) => {
    expect(() => plan(host as unknown as Partial<HostConfig>)).toThrow(text);
  });
});
