/** What the status derivation has to know of a load balancer: ids, switches and the statuses that are stored now. */
import type { OperatingStatus, ProvisioningStatus } from '../model/index.ts';

/** A member as far as its status goes. */
export type MemberSummary = { readonly id: string; operating_status: OperatingStatus };

/** A pool and its members as far as their statuses go. */
export type PoolSummary = { readonly id: string; operating_status: OperatingStatus; readonly members: readonly MemberSummary[] };

/** A listener as far as its status goes. */
export type ListenerSummary = {
  readonly id: string;
  readonly admin_state_up: boolean;
  readonly provisioning_status: ProvisioningStatus;
  operating_status: OperatingStatus;
};

/** A load balancer and what is below it, without rows that are DELETED. */
export type LoadBalancerSummary = {
  readonly id: string;
  readonly admin_state_up: boolean;
  provisioning_status: ProvisioningStatus;
  operating_status: OperatingStatus;
  readonly listeners: readonly ListenerSummary[];
  readonly pools: readonly PoolSummary[];
};

/** The kinds of resource whose operating status heartbeats decide. */
export type WatchedType = 'loadbalancer' | 'listener' | 'pool' | 'member';

/** An operating status that is to be stored because it differs from the stored one. */
export type StatusChange = { readonly type: WatchedType; readonly id: string; readonly operating_status: OperatingStatus };
