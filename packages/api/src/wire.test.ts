/** Payloads and times, as containerd and its clients write and read them. */
import { describe, expect, it } from 'vitest';
import {
  decodeAny,
  encodeAny,
  encodeJsonAny,
  eventTypes,
  fromTimestamp,
  goZeroTime,
  isZeroTime,
  nowTimestamp,
  runcOptions,
  tasks,
  toRfc3339,
  toTimestamp,
  transferTypes,
  typeNameOf,
  typeUrls,
} from './index.ts';

describe('Any', () => {
  const exit = eventTypes.TaskExit.fromPartial({ containerId: 'a', exitStatus: 137, exitedAt: toTimestamp(5n) });

  it('carries a message under its bare full name, and reads both spellings', () => {
    const any = encodeAny('containerd.events.TaskExit', eventTypes.TaskExit, exit);
    expect(any.typeUrl).toBe('containerd.events.TaskExit');
    const expected = { kind: 'message', name: 'containerd.events.TaskExit', value: exit };
    expect(decodeAny(any)).toEqual(expected);
    expect(decodeAny({ ...any, typeUrl: `type.googleapis.com/${any.typeUrl}` })).toEqual(expected);
    expect(typeNameOf('type.googleapis.com/a.b.C')).toBe('a.b.C');
  });

  it('carries the OCI specification as JSON', () => {
    const any = encodeJsonAny(typeUrls.spec, { ociVersion: '1.0.2' });
    expect(any.typeUrl).toBe('types.containerd.io/opencontainers/runtime-spec/1/Spec');
    expect(decodeAny(any)).toMatchObject({ kind: 'json', value: { ociVersion: '1.0.2' } });
  });

  it('gives back what it does not know', () => {
    const any = { typeUrl: 'example.Unknown', value: Buffer.from('x') };
    expect(decodeAny(any)).toEqual({ kind: 'unknown', ...any });
  });

  it('knows the payloads that travel between containerd, shim and clients', () => {
    const payloads = [
      encodeAny(
        'containerd.runc.v1.Options',
        runcOptions.Options,
        runcOptions.Options.fromPartial({ binaryName: 'crun' }),
      ),
      encodeAny(
        'containerd.types.transfer.OCIRegistry',
        transferTypes.OCIRegistry,
        transferTypes.OCIRegistry.fromPartial({ reference: 'a' }),
      ),
    ];
    expect(payloads.map((any) => decodeAny(any).kind)).toEqual(['message', 'message']);
  });
});

describe('messages', () => {
  it("have the industry's paths and field numbers", () => {
    expect(tasks.TasksService.create.path).toBe('/containerd.services.tasks.v1.Tasks/Create');
    // field 1 is the container id, field 2 the exec id: tag = number << 3 | 2
    expect([...tasks.StartRequest.encode({ containerId: 'a', execId: 'b' }).finish()]).toEqual([
      0x0a, 1, 97, 0x12, 1, 98,
    ]);
  });
  it('keep 64 bits', () => {
    const progress = transferTypes.Progress.fromPartial({ event: 'downloading', total: 2n ** 62n + 1n });
    expect(transferTypes.Progress.decode(transferTypes.Progress.encode(progress).finish()).total).toBe(2n ** 62n + 1n);
  });
});

describe('times', () => {
  it.each([
    [0n, '0001-01-01T00:00:00Z'], // a message without a time means "not set", as Go's zero time does
    [1_700_000_000_123_456_789n, '2023-11-14T22:13:20.123456789Z'],
    [1_700_000_000_120_000_000n, '2023-11-14T22:13:20.12Z'],
  ])('%s ns is %s', (ns, text) => {
    expect(fromTimestamp(toTimestamp(ns))).toBe(ns);
    expect(toRfc3339(toTimestamp(ns))).toBe(text);
  });
  it('tell what is not set', () => {
    expect([undefined, goZeroTime(), { seconds: 0n, nanos: 0 }].map(isZeroTime)).toEqual([true, true, true]);
    expect(isZeroTime({ seconds: 0n, nanos: 1 })).toBe(false);
    expect(toRfc3339(goZeroTime())).toBe('0001-01-01T00:00:00Z');
  });
  it('now is now, to the microsecond', () => {
    const now = fromTimestamp(nowTimestamp());
    expect(Math.abs(Number(now / 1_000_000n) - Date.now())).toBeLessThan(1000);
    expect(now % 1000n).toBe(0n);
  });
});
