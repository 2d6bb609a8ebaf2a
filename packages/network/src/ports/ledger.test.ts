import { describe, expect, test } from 'vitest';
import { PortLedger } from './ledger.ts';

describe('the ledger of ports', () => {
  test('wildcard and specific addresses of one family conflict, families and protocols do not', () => {
    const ledger = new PortLedger();
    ledger.claim('tcp', '0.0.0.0', 80, 'a');
    expect(() => ledger.claim('tcp', '127.0.0.1', 80, 'b')).toThrow(
      'Bind for 127.0.0.1:80 failed: port is already allocated',
    );
    ledger.claim('tcp', '::', 80, 'b');
    expect(() => ledger.claim('tcp', 'fd00::1', 80, 'c')).toThrow('Bind for [fd00::1]:80 failed');
    ledger.claim('udp', '0.0.0.0', 80, 'c');
    ledger.claim('tcp', '10.0.0.1', 81, 'a');
    ledger.claim('tcp', '10.0.0.2', 81, 'b');
    expect(() => ledger.claim('tcp', '0.0.0.0', 81, 'c')).toThrow('Bind for 0.0.0.0:81 failed');
  });

  test('only the owner gives a port back', () => {
    const ledger = new PortLedger();
    ledger.claim('tcp', '0.0.0.0', 80, 'a');
    ledger.release('tcp', '0.0.0.0', 80, 'b');
    expect(() => ledger.claim('tcp', '0.0.0.0', 80, 'b')).toThrow('already allocated');
    ledger.release('tcp', '0.0.0.0', 80, 'a');
    ledger.claim('tcp', '0.0.0.0', 80, 'b');
  });
});
