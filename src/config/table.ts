/** The table of all options by group: the one place that knows which options there are. */
import { amphora_agent, haproxy_amphora, keepalived_vrrp } from './options/amphora.ts';
import { DEFAULT, api_settings, audit, driver_agent, keystone_authtoken, oslo_policy, quotas, service_auth } from './options/api.ts';
import { cinder, compute, glance, local, networking, neutron, nova } from './options/cloud.ts';
import { certificates, controller_worker, database, health_manager, house_keeping } from './options/controller.ts';
import type { Secret } from '../lib/secret.ts';
import type { Group, Kinds, Option } from './option.ts';

/** Group → option → what is known about it. Names are upstream's wherever the meaning is. */
export const table = {
  DEFAULT,
  api_settings,
  database,
  controller_worker,
  health_manager,
  house_keeping,
  haproxy_amphora,
  amphora_agent,
  keepalived_vrrp,
  certificates,
  compute,
  networking,
  keystone_authtoken,
  service_auth,
  oslo_policy,
  audit,
  nova,
  neutron,
  glance,
  cinder,
  quotas,
  driver_agent,
  local,
} as const satisfies Readonly<Record<string, Group>>;

/** The name of a group. */
export type GroupName = keyof typeof table;

type Value<O> = O extends Option<infer K, infer D> ? (K extends 'secret' ? Secret : Kinds[K]) | (null extends D ? null : never) : never;

/** All options with their values: `config.health_manager.heartbeat_interval` is a number because the table says so. */
export type Config = { readonly [G in GroupName]: { readonly [O in keyof (typeof table)[G]]: Value<(typeof table)[G][O]> } };

/** Values for options by group and name, as the program has them (not text); a secret may be a plain string. */
export type Overrides = {
  readonly [G in GroupName]?: {
    readonly [O in keyof (typeof table)[G]]?:
      | Value<(typeof table)[G][O]>
      | (Value<(typeof table)[G][O]> extends Secret | null ? string : never);
  };
};

/** Every option with its group and name, in the order of the table. */
export function allOptions(): { readonly group: GroupName; readonly name: string; readonly option: Option }[] {
  const groups = Object.entries(table as Readonly<Record<GroupName, Group>>) as [GroupName, Group][];
  return groups.flatMap(([group, options]) => Object.entries(options).map(([name, option]) => ({ group, name, option })));
}
