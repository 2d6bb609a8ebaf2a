/** `POST /images/create`: pull (`fromImage`) or import (`fromSrc`). */
import { BoxshipError } from '@boxship/base';
import type { Exchange } from '../http/exchange.ts';
import type { Parts } from '../parts.ts';
import { importImage } from './import.ts';
import { pullImage } from './pull.ts';

export async function createImage(parts: Parts, exchange: Exchange): Promise<void> {
  if (exchange.text('fromImage') !== '') return await pullImage(parts, exchange);
  if (exchange.text('fromSrc') !== '') return await importImage(parts, exchange);
  throw new BoxshipError(
    'invalidArgument',
    'fromImage or fromSrc must be given: the image to pull or the source to import',
  );
}
