/** The host's resolv.conf as it is now: read again when it may have changed, at most once in a second. */
import { optionsOf, readHostResolvConf, serversOf } from './resolv-conf.ts';

const freshMs = 1000;

export class HostResolvConf {
  #text = '';
  #readAt = Number.NEGATIVE_INFINITY;

  servers(): readonly string[] {
    return serversOf(this.#read());
  }

  options(): readonly string[] {
    return optionsOf(this.#read());
  }

  #read(): string {
    const now = performance.now();
    if (now - this.#readAt >= freshMs) {
      this.#text = readHostResolvConf();
      this.#readAt = now;
    }
    return this.#text;
  }
}
