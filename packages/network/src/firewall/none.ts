/** No rules at all (`--iptables=false`): what passes is the host's affair, published ports are carried by their listeners. */
import type { Firewall } from './firewall.ts';

export function noFirewall(): Firewall {
  return {
    backend: 'none',
    async rebuild() {},
    async move() {},
    watch() {},
    async remove() {},
    async [Symbol.asyncDispose]() {},
  };
}
