/** The driver of a network. */
import { BoxshipError } from '@boxship/base';
import type { Context } from '../context.ts';
import type { Driver } from './driver.ts';

/** @throws notFound with Docker's text */
export function driverNamed(context: Pick<Context, 'drivers'>, name: string): Driver {
  const driver = context.drivers.get(name);
  if (driver === undefined) throw new BoxshipError('notFound', `plugin "${name}" not found`);
  return driver;
}
