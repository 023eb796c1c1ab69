/** The resources of the API: how each is called, and what it shows beside its columns. */
import { healthmonitorRelations } from '../db/healthmonitors.ts';
import { listenerRelations } from '../db/listeners.ts';
import { loadbalancerRelations } from '../db/loadbalancers.ts';
import { memberRelations } from '../db/members.ts';
import { l7policyRelations } from '../db/l7policies.ts';
import { l7ruleRelations } from '../db/l7rules.ts';
import { poolRelations } from '../db/pools.ts';
import {
  amphoraFields,
  healthmonitorFields,
  l7policyFields,
  l7ruleFields,
  listenerFields,
  loadbalancerFields,
  memberFields,
  poolFields,
} from '../model/index.ts';
import { asRef, asTag, nullWhenEmpty, relatedList, type Resource } from './resource.ts';

const tags = { by: 'resource_id', show: asTag };

/** Load balancers. */
export const loadbalancers: Resource = {
  table: 'loadbalancer',
  root: 'loadbalancer',
  plural: 'loadbalancers',
  title: 'Load Balancer',
  argument: 'load_balancer',
  policy: 'loadbalancer',
  fields: loadbalancerFields,
  hideDeleted: 'provisioning_status',
  relations: loadbalancerRelations,
  groupings: [{ by: 'loadbalancer_id', show: asRef }, { by: 'loadbalancer_id', show: asRef }, tags],
  shown: {
    listeners: relatedList(0),
    pools: relatedList(1),
    tags: relatedList(2),
    provider: (row) => row['provider'] ?? 'octavia',
    // As the reference's table of them orders them.
    vip_sg_ids: (row) => (row['vip_sg_ids'] as readonly string[]).toSorted(),
    additional_vips: (row) =>
      (row['additional_vips'] as Record<string, unknown>[]).map(({ subnet_id, ip_address, port_id }) => ({
        subnet_id,
        ip_address,
        port_id,
      })),
  },
  alsoFilters: ['topology', 'server_group_id'],
};

/** Listeners. */
export const listeners: Resource = {
  table: 'listener',
  root: 'listener',
  plural: 'listeners',
  title: 'Listener',
  argument: 'listener_',
  policy: 'listener',
  fields: listenerFields,
  hideDeleted: 'provisioning_status',
  relations: listenerRelations,
  groupings: [{ by: 'listener_id', show: asRef }, tags],
  shown: {
    l7policies: relatedList(0),
    tags: relatedList(1),
    loadbalancers: (row) => [{ id: row['loadbalancer_id'] }],
    allowed_cidrs: nullWhenEmpty('allowed_cidrs'),
  },
  alsoFilters: ['loadbalancer_id'],
};

/** Pools. */
export const pools: Resource = {
  table: 'pool',
  root: 'pool',
  plural: 'pools',
  title: 'Pool',
  argument: 'pool_',
  policy: 'pool',
  fields: poolFields,
  hideDeleted: 'provisioning_status',
  relations: poolRelations,
  groupings: [
    { by: 'default_pool_id', show: asRef },
    { by: 'pool_id', show: asRef },
    { by: 'pool_id', show: (row) => row['id'] },
    tags,
    { by: 'redirect_pool_id', show: asRef },
  ],
  shown: {
    listeners: (row, related) => [
      ...new Map(
        [...relatedList(0)(row, related), ...relatedList(4)(row, related)].map((ref) => [(ref as { id: string }).id, ref]),
      ).values(),
    ],
    members: relatedList(1),
    // Absent without a monitor, as in the reference.
    healthmonitor_id: (row, related) => relatedList(2)(row, related)[0],
    tags: relatedList(3),
    loadbalancers: (row) => [{ id: row['loadbalancer_id'] }],
  },
  alsoFilters: ['loadbalancer_id'],
  amongFilters: { healthmonitor_id: { table: 'healthmonitor', column: 'pool_id', where: 'id' } },
};

/** Members. */
export const members: Resource = {
  table: 'member',
  root: 'member',
  plural: 'members',
  title: 'Member',
  argument: 'member_',
  policy: 'member',
  fields: memberFields,
  hideDeleted: 'provisioning_status',
  relations: memberRelations,
  groupings: [tags],
  shown: { tags: relatedList(0) },
  alsoFilters: ['pool_id'],
};

/** Health monitors. */
export const healthmonitors: Resource = {
  table: 'healthmonitor',
  root: 'healthmonitor',
  plural: 'healthmonitors',
  title: 'Health Monitor',
  argument: 'health_monitor_',
  policy: 'healthmonitor',
  fields: healthmonitorFields,
  hideDeleted: 'provisioning_status',
  relations: healthmonitorRelations,
  groupings: [tags],
  shown: { tags: relatedList(0), pools: (row) => [{ id: row['pool_id'] }] },
  alsoFilters: ['pool_id'],
};

/** L7 policies. */
export const l7policies: Resource = {
  table: 'l7policy',
  root: 'l7policy',
  plural: 'l7policies',
  title: 'L7 Policy',
  argument: 'l7policy_',
  policy: 'l7policy',
  fields: l7policyFields,
  hideDeleted: 'provisioning_status',
  relations: l7policyRelations,
  groupings: [{ by: 'l7policy_id', show: asRef }, tags],
  shown: { rules: relatedList(0), tags: relatedList(1) },
  alsoFilters: [],
};

/** L7 rules. */
export const l7rules: Resource = {
  table: 'l7rule',
  root: 'rule',
  plural: 'rules',
  title: 'L7 Rule',
  argument: 'rule_',
  policy: 'l7rule',
  fields: l7ruleFields,
  hideDeleted: 'provisioning_status',
  relations: l7ruleRelations,
  groupings: [tags],
  shown: { tags: relatedList(0) },
  alsoFilters: ['l7policy_id'],
};

/** Amphorae, for administrators. */
export const amphorae: Resource = {
  table: 'amphora',
  root: 'amphora',
  plural: 'amphorae',
  title: 'Amphora',
  argument: 'amphora',
  policy: 'amphora',
  fields: amphoraFields,
  hideDeleted: 'status',
  relations: () => [],
  groupings: [],
  // Only a pair speaks VRRP.
  shown: { vrrp_interface: (row) => (row['role'] === 'STANDALONE' ? null : row['vrrp_interface']) },
  alsoFilters: [],
  amongFilters: { project_id: { table: 'loadbalancer', column: 'id', where: 'project_id', on: 'loadbalancer_id' } },
};
