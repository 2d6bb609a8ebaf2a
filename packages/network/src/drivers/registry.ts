/** The drivers by name: our own, and those of plugins, which are found when they are first asked for. */
import type { Driver } from './driver.ts';

export interface DriverRegistryOptions {
  readonly builtIn: readonly Driver[];
  /** Whether a plugin of that name is there now. */
  readonly isPlugin: (name: string) => boolean;
  readonly makeRemote: (name: string) => Driver;
}

export class DriverRegistry {
  readonly #drivers: Map<string, Driver>;
  readonly #options: DriverRegistryOptions;

  constructor(options: DriverRegistryOptions) {
    this.#options = options;
    this.#drivers = new Map(options.builtIn.map((driver) => [driver.name, driver]));
  }

  get(name: string): Driver | undefined {
    return this.#drivers.get(name) ?? (this.#options.isPlugin(name) ? this.expect(name) : undefined);
  }

  /** The driver of a network on record: its plugin may be started later than we are. */
  expect(name: string): Driver {
    const driver = this.#drivers.get(name) ?? this.#options.makeRemote(name);
    this.#drivers.set(name, driver);
    return driver;
  }
}
