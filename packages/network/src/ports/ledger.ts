/** Which host ports are ours. Every address conflicts with the wildcard of its family; families and protocols are independent. */
import { BoxshipError } from '@boxship/base';

interface Claim {
  readonly address: string;
  readonly owner: string;
}

const isWildcard = (address: string): boolean => address === '0.0.0.0' || address === '::';
const familyOf = (address: string): number => (address.includes(':') ? 6 : 4);

export class PortLedger {
  readonly #claims = new Map<string, Claim[]>();

  /** @throws unknown with Docker's text when the port is taken by another owner or another port of the same */
  claim(protocol: string, address: string, port: number, owner: string): void {
    const key = `${protocol} ${familyOf(address)} ${port}`;
    const claims = this.#claims.get(key) ?? [];
    if (claims.some((other) => isWildcard(other.address) || isWildcard(address) || other.address === address))
      throw new BoxshipError('unknown', `Bind for ${withBrackets(address)}:${port} failed: port is already allocated`);
    this.#claims.set(key, [...claims, { address, owner }]);
  }

  release(protocol: string, address: string, port: number, owner: string): void {
    const key = `${protocol} ${familyOf(address)} ${port}`;
    const left = (this.#claims.get(key) ?? []).filter((claim) => claim.address !== address || claim.owner !== owner);
    if (left.length === 0) this.#claims.delete(key);
    else this.#claims.set(key, left);
  }
}

/** `::` as `[::]` before a port. */
export function withBrackets(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}
