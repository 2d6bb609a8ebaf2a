/**
 * The expressions of nftables rules as the kernel takes them (NFTA_EXPR_NAME, NFTA_EXPR_DATA): small register programs. A rule
 * is a list of them; the first that does not match ends it. Registers: 0 verdict, 1 = 16 bytes, 8 + n = 4 bytes (register 8 is
 * the first word of register 1), so that `load(9)` continues a concatenation begun at register 1.
 */
import { attribute } from '../netlink/codec.ts';

/** One encoded expression. */
export type Expression = Buffer;

function expression(name: string, ...data: readonly Buffer[]): Expression {
  return attribute.nested(1, attribute.text(1, name), attribute.nested(2, ...data)); // NFTA_LIST_ELEM
}

const value = (type: number, bytes: Uint8Array): Buffer => attribute.nested(type, attribute.bytes(1, bytes));

export const metaKey = { mark: 3, iif: 4, oif: 5, iifName: 6, oifName: 7, nfProto: 15, l4Proto: 16 } as const;
export const nfProto = { ipv4: 2, ipv6: 10 } as const;
export const verdictCode = { drop: 0, accept: 1, jump: -3, goto: -4, return: -5 } as const;
/** Bits of `ct state` and `ct status`. */
export const ctState = { invalid: 1, established: 2, related: 4, new: 8 } as const;
export const ctStatus = { snat: 16, dnat: 32 } as const;

/** 16 bytes, NUL-padded: how interface names are compared. */
export function interfaceName(name: string): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.write(name.slice(0, 15));
  return bytes;
}

export function meta(key: number, register = 1): Expression {
  return expression('meta', attribute.be32(2, key), attribute.be32(1, register));
}

/** Bytes of the packet: base 1 = network header, 2 = transport header. */
export function payload(base: 1 | 2, offset: number, length: number, register = 1): Expression {
  return expression(
    'payload',
    attribute.be32(1, register),
    attribute.be32(2, base),
    attribute.be32(3, offset),
    attribute.be32(4, length),
  );
}

export function compare(operator: '==' | '!=', bytes: Uint8Array, register = 1): Expression {
  return expression('cmp', attribute.be32(1, register), attribute.be32(2, operator === '==' ? 0 : 1), value(3, bytes));
}

/** True when any of the bits is set in the register (a number in host order). */
export function anyBit(bits: number, register = 1): Expression[] {
  const mask = Buffer.alloc(4);
  mask.writeUInt32LE(bits);
  const zero = Buffer.alloc(4);
  return [
    expression(
      'bitwise',
      attribute.be32(1, register),
      attribute.be32(2, register),
      attribute.be32(3, 4),
      value(4, mask),
      value(5, zero),
    ),
    compare('!=', zero, register),
  ];
}

export const ctStateIs = (bits: number): Expression[] => [conntrack(0), ...anyBit(bits)];
export const ctStatusHas = (bits: number): Expression[] => [conntrack(2), ...anyBit(bits)];

function conntrack(key: number, register = 1): Expression {
  return expression('ct', attribute.be32(2, key), attribute.be32(1, register));
}

/** Membership in a set, or with `into` the value of a map. */
export function lookup(
  set: string,
  options: { register?: number; into?: number; isInverted?: boolean } = {},
): Expression {
  const data = [attribute.text(1, set), attribute.be32(2, options.register ?? 1)];
  if (options.into !== undefined) data.push(attribute.be32(3, options.into));
  if (options.isInverted === true) data.push(attribute.be32(5, 1));
  return expression('lookup', ...data);
}

/** True when the source or destination address is one of this host. */
export function isLocalAddress(side: 'source' | 'destination'): Expression[] {
  const RTN_LOCAL = Buffer.from([2, 0, 0, 0]);
  const ADDRTYPE = 3;
  return [
    expression('fib', attribute.be32(3, side === 'source' ? 1 : 2), attribute.be32(2, ADDRTYPE), attribute.be32(1, 1)),
    compare('==', RTN_LOCAL),
  ];
}

export function verdict(code: keyof typeof verdictCode, chain?: string): Expression {
  const data = [attribute.be32(1, verdictCode[code])];
  if (chain !== undefined) data.push(attribute.text(2, chain));
  return expression('immediate', attribute.be32(1, 0), attribute.nested(2, attribute.nested(2, ...data)));
}

/** Bytes known beforehand, into a register. */
export function load(bytes: Uint8Array, register: number): Expression {
  return expression('immediate', attribute.be32(1, register), value(2, bytes));
}

/** Sets what {@link meta} reads, from a register. */
export function setMeta(key: number, register: number): Expression {
  return expression('meta', attribute.be32(2, key), attribute.be32(3, register));
}

/** Sends a copy of the packet to the gateway address in one register by the link (its index) in another. Not in `inet`. */
export function duplicate(registers: { address: number; linkIndex: number }): Expression {
  return expression('dup', attribute.be32(1, registers.address), attribute.be32(2, registers.linkIndex));
}

/** Source NAT to the address in a register. */
export function snat(family: 4 | 6, register: number): Expression {
  return expression(
    'nat',
    attribute.be32(1, 0), // NFT_NAT_SNAT
    attribute.be32(2, family === 4 ? nfProto.ipv4 : nfProto.ipv6),
    attribute.be32(3, register),
  );
}

/** Destination NAT to the address and port in registers. */
export function dnat(family: 4 | 6, registers: { address: number; port: number }): Expression {
  return expression(
    'nat',
    attribute.be32(1, 1), // NFT_NAT_DNAT
    attribute.be32(2, family === 4 ? nfProto.ipv4 : nfProto.ipv6),
    attribute.be32(3, registers.address),
    attribute.be32(5, registers.port),
  );
}

export const masquerade = (): Expression => expression('masq');

export const counter = (): Expression => expression('counter', attribute.be64(1, 0n), attribute.be64(2, 0n));
