/** The in-process client: the shape of a remote one, calling the handlers of the same process without a wire. */
import type { CallOptions, Duplex, MethodDefinition, ServiceClient, ServiceHandlers } from '@boxship/api';
import { BoxshipError } from '@boxship/base';
import { callContext } from './rpc.ts';

type AnyMethod = MethodDefinition<object, object>;
type Handler = (request: object, context: ReturnType<typeof callContext>) => Promise<object> | AsyncIterable<object>;

/** A client of `handlers` acting in `namespace`. */
export function localClient<Service extends object>(
  service: Service,
  handlers: ServiceHandlers<Service>,
  namespace: string,
): ServiceClient<Service> {
  const methods: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(service)) {
    const method = value as AnyMethod;
    const handler = (handlers as Record<string, unknown>)[name] as Handler;
    if (method.requestStream) {
      methods[name] = (options?: CallOptions) => localDuplex(handler, method, namespace, options);
    } else {
      methods[name] = (request?: object, options?: CallOptions) =>
        handler(complete(method, request), contextFor(namespace, options));
    }
  }
  return methods as ServiceClient<Service>;
}

function complete(method: AnyMethod, request: object | undefined): object {
  return Object.assign(method.requestDeserialize(Buffer.alloc(0)), request);
}

function contextFor(namespace: string, options: CallOptions | undefined) {
  const timeout = options?.timeoutMs ?? 0;
  const signals = [options?.signal, timeout > 0 ? AbortSignal.timeout(timeout) : undefined].filter(
    (s) => s !== undefined,
  );
  return callContext({
    namespace,
    lease: options?.lease,
    signal: signals.length === 0 ? new AbortController().signal : AbortSignal.any(signals),
    remainingMs: timeout > 0 ? timeout : undefined,
  });
}

function localDuplex(
  handler: Handler,
  method: AnyMethod,
  namespace: string,
  options: CallOptions | undefined,
): Duplex<object, object> {
  const cancel = new AbortController();
  const queue: object[] = [];
  let wake: (() => void) | undefined;
  let isEnded = false;
  const requests: AsyncIterable<object> = {
    async *[Symbol.asyncIterator]() {
      for (;;) {
        const next = queue.shift();
        if (next !== undefined) yield next;
        else if (isEnded || cancel.signal.aborted) return;
        else
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
      }
    },
  };
  const signal = options?.signal === undefined ? cancel.signal : AbortSignal.any([options.signal, cancel.signal]);
  const context = contextFor(namespace, { ...options, signal });
  const answers = (handler as unknown as (r: AsyncIterable<object>, c: typeof context) => AsyncIterable<object>)(
    requests,
    context,
  );
  return {
    async send(request) {
      if (isEnded) throw new BoxshipError('failedPrecondition', 'the stream was ended');
      queue.push(complete(method, request));
      wake?.();
    },
    end() {
      isEnded = true;
      wake?.();
    },
    cancel() {
      cancel.abort(new BoxshipError('cancelled', 'the client went away'));
      wake?.();
    },
    [Symbol.asyncIterator]: () => answers[Symbol.asyncIterator](),
  };
}
