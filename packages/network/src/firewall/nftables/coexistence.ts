/**
 * Living with other firewalls. A packet passes only if every table lets it: a `FORWARD` chain with policy DROP (Docker sets it,
 * ufw and many hosts too) would stop our containers although our own table judged them. So such a chain gets two rules per
 * bridge that leave the judgement to us: `-i BRIDGE -j ACCEPT` and `-o BRIDGE -j ACCEPT`, in DOCKER-USER when that exists
 * (Docker keeps it first), else at the head of FORWARD. They are written in the expressions that iptables itself uses, so that
 * its listing shows them. Rules of the legacy iptables backend cannot be reached this way.
 */
import type { Logger } from '@boxship/base';
import { NftBatch, type NftRule, type NftSocket, nftExpression as x } from '@boxship/linux';

const tables = [
  { family: 'ipv4', table: 'filter' },
  { family: 'ipv6', table: 'filter' },
] as const;

/** Makes the foreign chains let through exactly `bridges`; rules for other names in `former` are taken out. */
export function admitBridges(nft: NftSocket, bridges: readonly string[], former: readonly string[], log: Logger): void {
  for (const { family, table } of tables) {
    const forward = nft.chain(family, table, 'FORWARD');
    if (forward === undefined) continue;
    const batch = new NftBatch(family, table);
    const chains = ['DOCKER-USER', 'FORWARD'].filter((name) => nft.chain(family, table, name) !== undefined);
    const target = forward.policy === 'drop' ? chains[0] : undefined;
    const known = new Set([...bridges, ...former]);
    for (const chain of chains) {
      const present = new Set<string>();
      for (const rule of nft.rules(family, table, chain)) {
        const subject = subjectOf(rule);
        if (subject === undefined || !known.has(subject.slice(2))) continue;
        if (chain === target && bridges.includes(subject.slice(2)) && !present.has(subject)) present.add(subject);
        else batch.deleteRule(chain, rule.handle);
      }
      if (chain !== target) continue;
      for (const bridge of bridges)
        for (const direction of ['i', 'o'] as const)
          if (!present.has(`${direction} ${bridge}`)) batch.addRule(chain, acceptRule(direction, bridge), 'first');
    }
    if (batch.isEmpty) continue;
    nft.commit(batch);
    log.warn('the FORWARD chain of another firewall drops by default: rules for our bridges are kept in it', {
      family,
      chain: target ?? 'none',
      bridges,
    });
  }
}

function acceptRule(direction: 'i' | 'o', bridge: string): Buffer[] {
  return [
    x.meta(direction === 'i' ? x.metaKey.iifName : x.metaKey.oifName),
    x.compare('==', Buffer.from(`${bridge}\0`)), // with the NUL: iptables' form of an exact name
    x.counter(),
    x.verdict('accept'),
  ];
}

/** `i NAME` or `o NAME` when the rule is `-i NAME -j ACCEPT` or `-o NAME -j ACCEPT` and nothing else. */
function subjectOf(rule: NftRule): string | undefined {
  const [meta, cmp, ...rest] = rule.expressions;
  if (meta?.name !== 'meta' || cmp?.name !== 'cmp') return undefined;
  const last = rest.filter(({ name }) => name !== 'counter');
  if (last.length !== 1 || last[0]?.name !== 'immediate') return undefined;
  const key = meta.data.get(2)?.readUInt32BE(0);
  const direction = key === x.metaKey.iifName ? 'i' : key === x.metaKey.oifName ? 'o' : undefined;
  const operator = cmp.data.get(2)?.readUInt32BE(0);
  const bytes = cmp.data.get(3)?.subarray(4); // NFTA_DATA_VALUE
  const verdictData = last[0].data.get(2); // NFTA_DATA_VERDICT { NFTA_VERDICT_CODE }
  if (direction === undefined || operator !== 0 || bytes === undefined || verdictData === undefined) return undefined;
  if (verdictData.length < 12 || verdictData.readInt32BE(8) !== x.verdictCode.accept) return undefined;
  const end = bytes.indexOf(0);
  return `${direction} ${bytes.toString('utf8', 0, end === -1 ? bytes.length : end)}`;
}
