/** Docker's sentence around a port that could not be had. */
import { BoxshipError } from '@boxship/base';

export function publishError(error: unknown, containerName: string, endpointId: string): BoxshipError {
  const cause = BoxshipError.from(error);
  return new BoxshipError(
    'unknown',
    `driver failed programming external connectivity on endpoint ${containerName} (${endpointId}): ${cause.message}`,
    { cause, details: cause.details },
  );
}
