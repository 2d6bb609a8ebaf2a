/**
 * W3C trace context through every seam. A part opens a span around the work of one request; the span is published on the
 * diagnostics channel `boxship:span` when it ends and costs nothing while nobody listens. The current context travels in
 * async storage, so that clients find it without it being handed through every call.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';
import { channel } from 'node:diagnostics_channel';

export interface SpanContext {
  readonly traceId: string; // 32 hex
  readonly spanId: string; // 16 hex
}

/** What is published on the channel: one finished span. Times are wall-clock milliseconds with fractions. */
export interface Span extends SpanContext {
  readonly parentSpanId: string | undefined;
  readonly component: string;
  readonly name: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly error: string | undefined;
}

export const spanChannelName = 'boxship:span';
const spans = channel(spanChannelName);
const storage = new AsyncLocalStorage<SpanContext>();

const pattern = /^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$/;

/** The context of a received `traceparent`; undefined when absent or malformed (W3C: start anew then). */
export function parseTraceparent(header: string | undefined): SpanContext | undefined {
  const match = header === undefined ? null : pattern.exec(header);
  const [, traceId, spanId] = match ?? [];
  return traceId === undefined || spanId === undefined ? undefined : { traceId, spanId };
}

/** The `traceparent` to send with a request made now; undefined outside of any trace. */
export function currentTraceparent(): string | undefined {
  const context = storage.getStore();
  return context === undefined ? undefined : `00-${context.traceId}-${context.spanId}-01`;
}

/** Runs `work` as a span, child of `parent` or of the current one. */
export async function withSpan<T>(
  options: { component: string; name: string; parent?: SpanContext | undefined },
  work: () => Promise<T>,
): Promise<T> {
  const parent = options.parent ?? storage.getStore();
  if (parent === undefined && !spans.hasSubscribers) return await work();
  const context: SpanContext = {
    traceId: parent?.traceId ?? randomBytes(16).toString('hex'),
    spanId: randomBytes(8).toString('hex'),
  };
  const startMs = performance.timeOrigin + performance.now();
  let error: string | undefined;
  try {
    return await storage.run(context, work);
  } catch (thrown) {
    error = thrown instanceof Error ? thrown.message : String(thrown);
    throw thrown;
  } finally {
    if (spans.hasSubscribers) {
      const span: Span = {
        ...context,
        parentSpanId: parent?.spanId,
        component: options.component,
        name: options.name,
        startMs,
        endMs: performance.timeOrigin + performance.now(),
        error,
      };
      spans.publish(span);
    }
  }
}
