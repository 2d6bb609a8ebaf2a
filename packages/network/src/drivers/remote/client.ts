/** The edge towards plugins of Docker's: one request of HTTP with JSON per call. An error is an answer with a text in it. */
import { request } from 'node:http';
import { BoxshipError, retry } from '@boxship/base';
import { findPlugin } from './discovery.ts';

const timeoutMs = 30_000;
const maxAnswerBytes = 4 << 20;

export class PluginClient {
  readonly name: string;
  readonly #directories: readonly string[];
  /** What it said it implements; undefined: it was not asked yet. */
  #implemented: readonly unknown[] | undefined;

  constructor(name: string, directories: readonly string[]) {
    this.name = name;
    this.#directories = directories;
  }

  /**
   * Calls `NetworkDriver.Join` and the like. undefined: the plugin does not know the method.
   * @throws unknown with the plugin's words, notFound when there is no such plugin, unavailable, deadlineExceeded
   */
  async call(method: string, body: object = {}): Promise<Readonly<Record<string, unknown>> | undefined> {
    await this.#activate(method.split('.', 1)[0] ?? '');
    return await this.#send(method, body);
  }

  async #activate(subject: string): Promise<void> {
    if (this.#implemented === undefined) {
      const said = (await this.#send('Plugin.Activate', {}))?.['Implements'];
      this.#implemented = Array.isArray(said) ? said : [];
    }
    if (!this.#implemented.includes(subject))
      throw new BoxshipError('invalidArgument', `plugin "${this.name}" does not implement ${subject}`);
  }

  /** A plugin that is being started again is waited for. */
  #send(method: string, body: object): Promise<Readonly<Record<string, unknown>> | undefined> {
    const isAway = (error: unknown): boolean => BoxshipError.is(error, 'unavailable');
    return retry({ attempts: 6, firstDelayMs: 100, maxDelayMs: 2000, isRetryable: isAway }, () =>
      this.#once(method, body),
    );
  }

  #once(method: string, body: object): Promise<Readonly<Record<string, unknown>> | undefined> {
    const address = findPlugin(this.name, this.#directories);
    // Docker's text
    if (address === undefined) throw new BoxshipError('notFound', `plugin "${this.name}" not found`);
    const content = JSON.stringify(body);
    const { promise, resolve, reject } = Promise.withResolvers<Readonly<Record<string, unknown>> | undefined>();
    const outgoing = request(
      {
        ...address,
        method: 'POST',
        path: `/${method}`,
        headers: {
          accept: 'application/vnd.docker.plugins.v1.2+json',
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(content),
        },
        signal: AbortSignal.timeout(timeoutMs),
      },
      (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size <= maxAnswerBytes) chunks.push(chunk);
          else outgoing.destroy(new Error(`more than ${maxAnswerBytes} bytes`));
        });
        response.on('error', (error) => reject(this.#failure(method, error)));
        response.on('end', () => {
          try {
            resolve(this.#answer(method, response.statusCode ?? 0, Buffer.concat(chunks).toString('utf8')));
          } catch (error) {
            reject(error);
          }
        });
      },
    );
    outgoing.on('error', (error) => reject(this.#failure(method, error)));
    outgoing.end(content);
    return promise;
  }

  #answer(method: string, status: number, text: string): Readonly<Record<string, unknown>> | undefined {
    if (status === 404) return undefined;
    let answer: Record<string, unknown>;
    try {
      answer = text.trim() === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
    } catch (error) {
      throw new BoxshipError('internal', `plugin "${this.name}": ${method}: status ${status}, no JSON`, {
        cause: error,
      });
    }
    const said = answer['Err'] || answer['Error'];
    if (typeof said === 'string' && said !== '') throw new BoxshipError('unknown', `${method}: ${said}`);
    if (status !== 200) throw new BoxshipError('unknown', `plugin "${this.name}": ${method}: status ${status}`);
    return answer;
  }

  #failure(method: string, error: Error): BoxshipError {
    const { code, name } = error as NodeJS.ErrnoException;
    if (name === 'AbortError' || name === 'TimeoutError')
      return new BoxshipError(
        'deadlineExceeded',
        `plugin "${this.name}" did not answer ${method} within ${timeoutMs} ms`,
        { cause: error },
      );
    const isAway = code === 'ECONNREFUSED' || code === 'ENOENT';
    return new BoxshipError(
      isAway ? 'unavailable' : 'unknown',
      `plugin "${this.name}": ${method}: ${code ?? error.message}`,
      { cause: error },
    );
  }
}
