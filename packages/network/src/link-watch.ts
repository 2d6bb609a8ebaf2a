/** Sees when somebody deletes one of our bridges, and makes it again with all its ports. */
import type { Logger } from '@boxship/base';
import { NetlinkSocket, netlinkGroup, netlinkProtocol } from '@boxship/linux';
import type { Context } from './context.ts';
import { assertNetwork, reattach } from './recovery.ts';

const watchEveryMs = 500;
const RTM_DELLINK = 17;
/** Deleted ports of bridges are announced in this family as well; only whole links matter. */
const AF_UNSPEC = 0;

/** Watches until disposed. */
export function watchLinks(context: Context, log: Logger): Disposable {
  const socket = NetlinkSocket.open(netlinkProtocol.route);
  socket.subscribe(netlinkGroup.link);
  const timer = setInterval(() => {
    const isLinkLost = socket.drain().some(({ type, payload }) => type === RTM_DELLINK && payload[0] === AF_UNSPEC);
    if (!isLinkLost) return;
    try {
      restore(context);
    } catch (error) {
      log.error('check of the bridges failed', { error });
    }
  }, watchEveryMs).unref();
  return {
    [Symbol.dispose]() {
      clearInterval(timer);
      socket[Symbol.dispose]();
    },
  };
}

function restore(context: Context): void {
  for (const { state, network } of context.state.networks.values()) {
    const driver = context.drivers.get(network.spec.driver);
    if (state !== 'ready' || network.spec.isConfigOnly || driver?.isPresent(network) !== false) continue;
    context.log.warn('bridge was deleted by another program: made again', { network: network.spec.name });
    assertNetwork(context, network.id);
    for (const { sandbox } of context.state.membersOf(network.id)) reattach(context, sandbox);
  }
}
