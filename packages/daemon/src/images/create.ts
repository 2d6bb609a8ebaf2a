/** `POST /images/create`: pull. */
import { BoxshipError } from '@boxship/base';
import type { Exchange } from '../http/exchange.ts';
import type { Parts } from '../parts.ts';

export async function createImage(_parts: Parts, _exchange: Exchange): Promise<void> {
  throw new BoxshipError('unimplemented', 'pull is not available');
}
