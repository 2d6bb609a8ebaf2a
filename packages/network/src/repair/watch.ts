/**
 * Sees when somebody deletes, takes down or empties what is ours (bridges, interfaces of containers, names of namespaces), and
 * makes it good. What cannot be made good is reported once per container. Separate from recovery: that one runs when the
 * controller starts and may throw sandboxes away, this one runs while containers live and only adds what is missing.
 */
import type { Logger } from '@boxship/base';
import { linkNameOf, NetlinkSocket, netlinkGroup, netlinkProtocol } from '@boxship/linux';
import type { Context } from '../context.ts';
import { isInterfaceName } from '../sandboxes/endpoint.ts';
import { InterfaceRepair } from './interfaces.ts';
import { repairNetworks } from './networks.ts';

const watchEveryMs = 250;
const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_DELADDR = 21;
/** Changes of bridge ports are announced in a family of their own as well; only whole links matter. */
const AF_UNSPEC = 0;
const IFF_UP = 1;

/** Watches until disposed. */
export function watchKernel(context: Context, log: Logger): Disposable {
  const socket = NetlinkSocket.open(netlinkProtocol.route);
  for (const group of [netlinkGroup.link, netlinkGroup.ipv4Address, netlinkGroup.ipv6Address]) socket.subscribe(group);
  const interfaces = new InterfaceRepair(context);
  let isRunning = false;
  const check = async (): Promise<void> => {
    if (isRunning) return; // a repair waits for its turn: the next check sees what it left
    isRunning = true;
    try {
      const { messages, isLossy } = socket.drain();
      const losses = messages.filter(({ type, payload }) => takesAway(type, payload));
      // interfaces of containers come and go all day: the networks are looked at when something else changed
      if (isLossy || losses.some(({ type, payload }) => !(isLinkMessage(type) && isInterfaceName(linkNameOf(payload)))))
        await repairNetworks(context);
      if (isLossy || losses.length > 0) await interfaces.run();
      context.namespaceNames.check();
    } catch (error) {
      log.error('check of links and namespaces failed', { error });
    } finally {
      isRunning = false;
    }
  };
  const timer = setInterval(() => void check(), watchEveryMs).unref();
  return {
    [Symbol.dispose]() {
      clearInterval(timer);
      socket[Symbol.dispose]();
    },
  };
}

const isLinkMessage = (type: number): boolean => type === RTM_NEWLINK || type === RTM_DELLINK;

/** A link is gone or down, or has lost an address. `ifinfomsg`: family, …, u32 flags at 8. */
function takesAway(type: number, payload: Buffer): boolean {
  if (type === RTM_DELADDR) return true;
  if (payload[0] !== AF_UNSPEC) return false;
  return type === RTM_DELLINK || (type === RTM_NEWLINK && (payload.readUInt32LE(8) & IFF_UP) === 0);
}
