/** `POST /auth`. */
import { BoxshipError } from '@boxship/base';
import type { AuthRequest, AuthResponse } from '@boxship/engine-api';

/** @throws unauthenticated */
export async function login(_request: AuthRequest): Promise<AuthResponse> {
  throw new BoxshipError('unimplemented', 'login is not available');
}
