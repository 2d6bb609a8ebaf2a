/** The cluster of this engine. */
import { BoxshipError } from '@boxship/base';
import type { Context } from '../context.ts';
import type { ClusterMembership } from './membership.ts';

/** @throws failedPrecondition: there is none */
export function clusterOf(context: Pick<Context, 'cluster'>): ClusterMembership {
  if (context.cluster !== undefined) return context.cluster;
  throw noCluster();
}

export const noCluster = (): BoxshipError =>
  new BoxshipError(
    'failedPrecondition',
    'overlay networks need a cluster: start the engine with --cluster-store etcd://HOST:PORT and --cluster-advertise INTERFACE',
  );
