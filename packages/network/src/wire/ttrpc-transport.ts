/** ttrpc as a {@link Transport}: a connection that is made anew when it has ended. */
import { BoxshipError, messageOf, sleep } from '@boxship/base';
import { splitPath, TtrpcClient } from '@boxship/ttrpc';
import { type Method, type Transport, transportDetails } from './transport.ts';

const firstDelayMs = 50;
const maxDelayMs = 250;

export class TtrpcTransport implements Transport {
  readonly #address: string;
  #client: Promise<TtrpcClient> | undefined;

  /** @param address path of the unix socket */
  constructor(address: string) {
    this.#address = address;
  }

  async call<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    timeoutMs: number,
  ): Promise<Response> {
    const deadline = performance.now() + timeoutMs;
    const path = splitPath(method.path);
    const payload = method.requestSerialize(request);
    for (let delayMs = firstDelayMs; ; delayMs = Math.min(2 * delayMs, maxDelayMs)) {
      let client: TtrpcClient | undefined;
      let failure: unknown;
      try {
        this.#client ??= this.#connect();
        client = await this.#client;
        const leftMs = Math.max(1, deadline - performance.now());
        const answer = await client.call(path.service, path.method, payload, { timeoutMs: leftMs });
        return method.responseDeserialize(Buffer.from(answer.buffer, answer.byteOffset, answer.length));
      } catch (error) {
        failure = error;
      }
      const isLate = performance.now() >= deadline;
      if (client !== undefined && !isUnsent(failure)) throw await this.#told(failure, client, isLate);
      if (isLate) throw this.#error('deadlineExceeded', failure);
      await sleep(Math.min(delayMs, deadline - performance.now()));
    }
  }

  #connect(): Promise<TtrpcClient> {
    const connecting = TtrpcClient.connect(this.#address);
    const forget = (): void => {
      if (this.#client === connecting) this.#client = undefined;
    };
    connecting.then((client) => client.closed.then(forget), forget);
    return connecting;
  }

  /** The server's own error as it is; with the address when it is ours. */
  async #told(failure: unknown, client: TtrpcClient, isLate: boolean): Promise<unknown> {
    if (client.isClosed && failure === (await client.closed)) return this.#error('unavailable', failure);
    return isLate && BoxshipError.is(failure, 'deadlineExceeded') ? this.#error('deadlineExceeded', failure) : failure;
  }

  #error(kind: 'unavailable' | 'deadlineExceeded', cause: unknown): BoxshipError {
    const message = `network controller at ${this.#address}: ${messageOf(cause)}`;
    return new BoxshipError(kind, message, { cause, details: transportDetails });
  }

  [Symbol.dispose](): void {
    // a connection that never came to be needs no end
    this.#client?.then(
      (client) => client[Symbol.asyncDispose](),
      () => {},
    );
    this.#client = undefined;
  }
}

/** The request cannot have reached the server. */
const isUnsent = (error: unknown): boolean => BoxshipError.is(error) && error.details['isUnsent'] === true;
