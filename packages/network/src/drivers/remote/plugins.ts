/** The plugins of Docker's by name, each with one client. */
import { PluginClient } from './client.ts';
import { findPlugin } from './discovery.ts';

export class Plugins {
  readonly #directories: readonly string[];
  readonly #clients = new Map<string, PluginClient>();

  constructor(directories: readonly string[]) {
    this.#directories = directories;
  }

  /** Whether a plugin of that name is there now. */
  has(name: string): boolean {
    return findPlugin(name, this.#directories) !== undefined;
  }

  /** undefined: there is no such plugin. */
  find(name: string): PluginClient | undefined {
    return this.has(name) ? this.client(name) : undefined;
  }

  /** Of a plugin that may not be there yet. */
  client(name: string): PluginClient {
    const client = this.#clients.get(name) ?? new PluginClient(name, this.#directories);
    this.#clients.set(name, client);
    return client;
  }
}
