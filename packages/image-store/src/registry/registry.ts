/**
 * The registry client: everything that the distribution protocol (OCI distribution-spec 1.1) offers to somebody who moves
 * images. A client is made per user of credentials (one pull, one push); connections and tokens live as long as it does.
 *
 * Example
 *   await using registry = new Registry({ hosts: configureHosts() });
 *   const { mediaType, digest, size } = await resolve(registry, parseNormalizedNamed('busybox:1.36'));
 */
import { BoxshipError, type Logger, silentLogger } from '@boxship/base';
import { defaultTag, type Reference } from '@boxship/oci';
import { Authorizer, type CredentialLookup } from './authorizer.ts';
import { configureHosts } from './host-config.ts';
import type { HostCapability, HostLookup } from './hosts.ts';
import { RegistrySession, type SchemeMemory } from './session.ts';
import { HttpTransport, type ProxyOptions, type TransportWaits } from './transport.ts';

export interface RegistryOptions {
  /** Default: the rules of Docker without any configuration. */
  readonly hosts?: HostLookup;
  /** By host as it is dialled (`registry-1.docker.io` for docker.io), mirrors included. Default: nobody is logged in. */
  readonly credentials?: CredentialLookup;
  readonly userAgent?: string;
  /** Default: none. */
  readonly proxy?: ProxyOptions;
  readonly waits?: Partial<TransportWaits>;
  readonly log?: Logger;
}

export class Registry implements AsyncDisposable {
  readonly #hosts: HostLookup;
  readonly #transport: HttpTransport;
  readonly #authorizer: Authorizer;
  readonly #schemes: SchemeMemory = new Map();
  readonly #log: Logger;

  constructor(options: RegistryOptions = {}) {
    this.#hosts = options.hosts ?? configureHosts();
    this.#log = options.log ?? silentLogger;
    this.#transport = new HttpTransport(options.userAgent ?? 'boxship/0.1.0', {
      ...(options.proxy === undefined ? {} : { proxy: options.proxy }),
      ...(options.waits === undefined ? {} : { waits: options.waits }),
    });
    this.#authorizer = new Authorizer(this.#transport, options.credentials ?? (async () => undefined), this.#log);
  }

  /** The servers of a registry that can do something, in the order to try them. @throws notFound when there is none */
  async sessions(domain: string, capability: HostCapability): Promise<RegistrySession[]> {
    const hosts = (await this.#hosts(domain)).filter((host) => host.capabilities.has(capability));
    if (hosts.length === 0) throw new BoxshipError('notFound', `no host of ${domain} is configured to ${capability}`);
    return hosts.map(
      (host) =>
        new RegistrySession({
          host,
          transport: this.#transport,
          authorizer: this.#authorizer,
          schemes: this.#schemes,
          log: this.#log,
        }),
    );
  }

  /** Tries the servers in order; the error of the last one counts (mirrors come first and may lack things). */
  async firstOf<T>(
    domain: string,
    capability: HostCapability,
    work: (session: RegistrySession) => Promise<T>,
  ): Promise<T> {
    const sessions = await this.sessions(domain, capability);
    for (const [index, session] of sessions.entries()) {
      try {
        return await work(session);
      } catch (error) {
        if (index === sessions.length - 1 || !BoxshipError.is(error) || error.kind === 'cancelled') throw error;
        this.#log.info('registry host failed, the next one is tried', {
          host: session.host.host,
          error: error.message,
        });
      }
    }
    throw new BoxshipError('internal', `no host of ${domain} was tried`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#transport[Symbol.asyncDispose]();
  }
}

export const pullScope = (reference: Reference): string => `repository:${reference.path}:pull`;
export const pushScope = (reference: Reference): string => `repository:${reference.path}:pull,push`;
/** What a manifest request names: the digest, else the tag. */
export const manifestName = (reference: Reference): string => reference.digest ?? reference.tag ?? defaultTag;
