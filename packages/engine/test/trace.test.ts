/** One request, one trace: the traceparent of a client reaches every part, and each part tells its spans. */
import { readFileSync } from 'node:fs';
import { poll, type Span } from '@boxship/base';
import { expect, it } from 'vitest';
import { engineForFile } from './harness/engine-for-file.ts';

const { host, engine } = await engineForFile((at) => ({ env: { BOXSHIP_TRACE_FILE: at.path('trace') } }));

it('follows a start from the client to the runtime', async () => {
  const id = (await engine.mustDocker(['create', 'busybox', 'true'])).trim();
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  const header = `traceparent: 00-${traceId}-b7ad6b7169203331-01`;
  await host.must('curl', [
    '-sf',
    '-X',
    'POST',
    '-H',
    header,
    '--unix-socket',
    engine.socket,
    `http://docker/containers/${id}/start`,
  ]);
  const spans = await poll({ everyMs: 50, timeoutMs: 5_000 }, () => {
    const all = readFileSync(host.path('trace'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Span);
    const ours = all.filter((span) => span.traceId === traceId);
    return ours.some((span) => span.name.startsWith('POST')) ? ours : undefined;
  });
  const byId = new Map(spans?.map((span) => [span.spanId, span]));
  expect(new Set(spans?.map((span) => span.component))).toEqual(
    new Set(['daemon', 'network', 'containerd', 'shim', 'runtime']),
  );
  // the runtime's work hangs on the shim's, that on containerd's, that on the daemon's request
  const create = spans?.find((span) => span.name === 'runc create');
  const chain: string[] = [];
  for (let span = create; span !== undefined; span = byId.get(span.parentSpanId ?? '')) chain.push(span.component);
  expect(chain).toEqual(['runtime', 'shim', 'containerd', 'daemon']);
});
