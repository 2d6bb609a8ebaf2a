/**
 * Published ports under the host's INPUT policy. Translation happens before INPUT, so packets for published ports never meet
 * it, and `ufw deny` means nothing to them. With this setting the first packet of a connection from outside is let go to INPUT
 * untranslated. What every INPUT chain of the host has accepted arrives at the end of that hook; there it is copied onto a
 * link that leads back into the host (a veth pair of our own), and dropped. By that link it comes in anew, is translated, and
 * its connection is known: all later packets follow without a detour. All of it happens in the kernel, the client's address
 * stays, and it goes on while no controller lives.
 *
 * The copy is made in tables `ip` and `ip6`, because `dup` is not known in `inet`; a mark joins the two.
 */
import { createHash } from 'node:crypto';
import { BoxshipError } from '@boxship/base';
import {
  addressToBytes,
  changeLink,
  deleteLink,
  findLink,
  isErrno,
  type Link,
  NetlinkSocket,
  NftBatch,
  netlinkProtocol,
  newVeth,
  setNeighbour,
  setRoute,
  nftExpression as x,
} from '@boxship/linux';
import { readSysctl, writeSysctl } from '../../sysctl.ts';

/** After the filters of every other program, which stand at 0 and thereabouts. */
const afterFilters = 400;
const mark = Buffer.from('b0c50001', 'hex');
const noMark = Buffer.alloc(4);
/** Next hops on the link, never seen outside: of the blocks for documentation and for discarding. */
const nextHop = { ip: '192.0.2.254', ip6: '100::fe' } as const;
const tables = [
  { family: 'ipv4', nextHop: nextHop.ip },
  { family: 'ipv6', nextHop: nextHop.ip6 },
] as const;

/** The link as rules see it: it is told by its prefix, so that the rules need not know the instance. */
const linkPrefix = 'bxi-';

/** Not from our bridges, not from the host itself, not come in anew already. */
export const comesFromOutside = (): Buffer[] => [
  x.meta(x.metaKey.iifName),
  x.lookup('bridges', { isInverted: true }),
  x.compare('!=', x.interfaceName('lo')),
  x.compare('!=', Buffer.from(linkPrefix)),
];

/** In the table `inet`: marks first packets for published ports that INPUT has let through. */
export function addInputMarks(batch: NftBatch): void {
  batch.addChain('input', { type: 'filter', hook: 'input', priority: afterFilters - 1 });
  batch.addChain('accepted');
  batch.addRule('input', [...comesFromOutside(), ...x.ctStateIs(x.ctState.new), x.verdict('jump', 'accepted')]);
  const marked = [x.load(mark, 1), x.setMeta(x.metaKey.mark, 1)];
  for (const [family, offset, length] of [
    [4, 16, 4],
    [6, 24, 16],
  ] as const) {
    const isFamily = [x.meta(x.metaKey.nfProto), x.compare('==', Buffer.from([family === 4 ? 2 : 10]))];
    const after = family === 4 ? 9 : 12;
    const port = (at: number): Buffer[] => [x.meta(x.metaKey.l4Proto, at), x.payload(2, 2, 2, at + 1)];
    // maps, asked for membership alone: what they give is overwritten
    const specific = [x.payload(1, offset, length), ...port(after), x.lookup(`port${family}`, { into: 1 })];
    const any = [...port(8), x.lookup(`anyport${family}`, { register: 8, into: 1 })];
    batch.addRule('accepted', [...isFamily, ...specific, ...marked]);
    batch.addRule('accepted', [...isFamily, ...any, ...marked]);
  }
}

/** The link by which packets come in anew, and the tables that copy them onto it. */
export class InputPath {
  readonly #table: string;
  readonly #link: string;
  readonly #alias: string;

  constructor(instanceId: string) {
    this.#table = `boxship-${instanceId}`;
    this.#link = `${linkPrefix}${createHash('sha256').update(instanceId).digest('hex').slice(0, 8)}`;
    this.#alias = `boxship:${instanceId}:input:path`;
  }

  /** Makes the link; idempotent. @throws failedPrecondition when the host's settings would drop what comes in anew */
  assert(): NftBatch[] {
    if (readSysctl('net/ipv4/conf/all/rp_filter') === '1')
      throw new BoxshipError(
        'failedPrecondition',
        'published ports cannot obey INPUT while net.ipv4.conf.all.rp_filter is 1 (strict): set it to 0 or 2',
      );
    using route = NetlinkSocket.open(netlinkProtocol.route);
    const link = findLink(route, this.#link) ?? this.#make(route);
    return tables.map(({ family, nextHop: address }) =>
      new NftBatch(family, this.#table)
        .addTable()
        .deleteTable()
        .addTable()
        .addChain('input', { type: 'filter', hook: 'input', priority: afterFilters })
        .addRule('input', [
          x.meta(x.metaKey.mark),
          x.compare('==', mark),
          x.load(noMark, 1),
          x.setMeta(x.metaKey.mark, 1),
          x.load(addressToBytes(address), 1),
          x.load(Buffer.from(Uint32Array.of(link.index).buffer), 2),
          x.duplicate({ address: 1, linkIndex: 2 }),
          x.counter(),
          x.verdict('drop'),
        ]),
    );
  }

  isPresent(): boolean {
    using route = NetlinkSocket.open(netlinkProtocol.route);
    return findLink(route, this.#link) !== undefined;
  }

  #make(route: NetlinkSocket): Link {
    const peer = `${this.#link}p`;
    route.execute(newVeth({ name: this.#link, peer: { name: peer } }));
    const [out, back] = [findLink(route, this.#link), findLink(route, peer)];
    if (out === undefined || back === undefined)
      throw new BoxshipError('aborted', `link ${this.#link} was removed while it was made`);
    // what comes in has addresses that are at home elsewhere
    writeSysctl(`net/ipv4/conf/${peer}/rp_filter`, '0');
    for (const name of [this.#link, peer]) writeSysctl(`net/ipv6/conf/${name}/accept_ra`, '0');
    route.execute(
      changeLink(back.index, { isUp: true, alias: this.#alias }),
      changeLink(out.index, { isUp: true, alias: this.#alias }),
      setRoute({ destination: `${nextHop.ip}/32`, linkIndex: out.index }),
      setNeighbour({ linkIndex: out.index, address: nextHop.ip, macAddress: back.macAddress }),
    );
    const failure = route.attempt(
      setRoute({ destination: `${nextHop.ip6}/128`, linkIndex: out.index }),
      setNeighbour({ linkIndex: out.index, address: nextHop.ip6, macAddress: back.macAddress }),
    )[0];
    // a host without IPv6
    if (failure !== undefined && !isErrno(failure.error, 'EOPNOTSUPP', 'EACCES', 'ENODEV', 'EINVAL'))
      throw failure.error;
    return out;
  }

  /** Takes link and tables out; `batches` belong into the transaction that removes the rest. */
  async remove(): Promise<NftBatch[]> {
    using route = NetlinkSocket.open(netlinkProtocol.route);
    const link = findLink(route, this.#link);
    if (link?.alias === this.#alias) await route.executeAsync(deleteLink(link.index));
    return tables.map(({ family }) => new NftBatch(family, this.#table).addTable().deleteTable());
  }
}
