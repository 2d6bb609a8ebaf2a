import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { currentTraceparent, parseTraceparent, type Span, spanChannelName, withSpan } from './trace.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const spanId = 'b7ad6b7169203331';

describe('traceparent', () => {
  it('is read', () => {
    expect(parseTraceparent(`00-${traceId}-${spanId}-01`)).toEqual({ traceId, spanId });
  });
  it.each([
    undefined,
    '',
    `01-${traceId}-${spanId}-01`,
    `00-${traceId}-${spanId}`,
    `00-${traceId.toUpperCase()}-${spanId}-01`,
    `00-${traceId}-${spanId}-01-extra`,
  ])('%s starts a trace anew', (header) => {
    expect(parseTraceparent(header)).toBeUndefined();
  });
});

describe('without a listener', () => {
  it('work outside of any trace makes none', async () => {
    expect(await withSpan({ component: 'x', name: 'y' }, async () => currentTraceparent())).toBeUndefined();
  });
  it('a trace that was received goes on', async () => {
    const sent = await withSpan({ component: 'x', name: 'y', parent: { traceId, spanId } }, async () =>
      currentTraceparent(),
    );
    expect(sent).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`));
    expect(parseTraceparent(sent)?.spanId).not.toBe(spanId);
  });
});

describe('with a listener', () => {
  let spans: Span[];
  const listen = (message: unknown) => void spans.push(message as Span);
  beforeEach(() => {
    spans = [];
    subscribe(spanChannelName, listen);
  });
  afterEach(() => void unsubscribe(spanChannelName, listen));

  it('publishes each span when it ends, the inner one as child of the outer', async () => {
    await withSpan({ component: 'daemon', name: 'start' }, () =>
      withSpan({ component: 'containerd', name: 'Tasks.Start' }, async () => {}),
    );
    const [inner, outer] = spans as [Span, Span];
    expect(inner).toMatchObject({ component: 'containerd', parentSpanId: outer.spanId, traceId: outer.traceId });
    expect(outer).toMatchObject({ component: 'daemon', name: 'start', parentSpanId: undefined, error: undefined });
    expect(inner.startMs).toBeGreaterThanOrEqual(outer.startMs);
    expect(outer.endMs).toBeGreaterThanOrEqual(inner.endMs);
  });

  it('keeps concurrent requests apart', async () => {
    const run = (name: string) =>
      withSpan({ component: 'x', name }, async () => {
        await new Promise(setImmediate);
        return currentTraceparent();
      });
    const [a, b] = await Promise.all([run('a'), run('b')]);
    expect(parseTraceparent(a)?.traceId).not.toBe(parseTraceparent(b)?.traceId);
  });

  it('publishes the failure and lets it pass', async () => {
    const work = () => Promise.reject(new Error('no such image'));
    await expect(withSpan({ component: 'x', name: 'y' }, work)).rejects.toThrow('no such image');
    expect(spans[0]?.error).toBe('no such image');
  });
});
