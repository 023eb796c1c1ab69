/** What one amphora still lacks on its way from a row to serving traffic. */
import type { Instance } from '../../cloud/compute.ts';
import type { Port } from '../../cloud/network.ts';
import { type LoadBalancer, type LoadBalancerTree, type Member, vipsOf } from '../../model/index.ts';
import type { Wait } from '../provider.ts';
import type { ObservedAgent } from './agent-client.ts';
import { type AmphoraView, memberPortName, type Observed, vrrpPortName } from './observed.ts';
import { ownAddress } from './plug-requests.ts';
import type { AmphoraStep } from './steps.ts';

/** Steps for now, or what is waited for; `isServing`: everything is in place. */
export type Progress = { readonly steps: readonly AmphoraStep[]; readonly wait: Wait | null; readonly isServing: boolean };

const doing = (steps: readonly AmphoraStep[]): Progress => ({ steps, wait: null, isServing: false });

/** Pure: the next steps of an amphora that is wanted. */
export function planAmphora(tree: LoadBalancerTree, observed: Observed, view: AmphoraView): Progress {
  const { amphora } = view;
  const owner = { type: 'amphora', id: amphora.id } as const;
  const instance =
    view.instances.find((each) => each.compute_id === amphora.compute_id) ?? (amphora.compute_id === null ? view.instances[0] : undefined);
  const duplicates = view.instances.filter((each) => each !== instance);
  const cleaning = duplicates.map((each): AmphoraStep => ({
    step: 'delete_instance',
    owner,
    compute_id: each.compute_id,
    amphora_id: null,
  }));
  const vrrp = view.ports.find((port) => port.name === vrrpPortName(amphora.id));

  if (!instance) return planUnlisted(observed, view, vrrp, cleaning);
  if (instance.status === 'ERROR' || instance.status === 'DELETING') {
    return doing([
      ...cleaning,
      { step: 'condemn', owner, amphora_id: amphora.id, reason: instance.fault ?? `Its instance is ${instance.status}.` },
    ]);
  }
  if (instance.status === 'BUILD')
    return {
      ...waitForBoot(observed, view, 'Its instance is being built.'),
      steps: [...cleaning, ...missingPort(view, vrrp), ...overdue(observed, view)],
    };
  if (amphora.compute_id !== instance.compute_id || amphora.lb_network_ip !== instance.lb_network_ip) {
    return doing([
      ...cleaning,
      ...missingPort(view, vrrp),
      { step: 'record_instance', owner, amphora_id: amphora.id, compute_id: instance.compute_id },
    ]);
  }
  const ports = planPorts(tree, observed, view, instance, vrrp);
  if (cleaning.length + ports.length > 0) return doing([...cleaning, ...ports]);
  if (view.agent === null) return planSilent(observed, view);
  return planAgent(tree, view, view.agent, vrrp as Port);
}

/** No instance is listed: not made yet, made but not listed yet, or lost. */
function planUnlisted(observed: Observed, view: AmphoraView, vrrp: Port | undefined, cleaning: readonly AmphoraStep[]): Progress {
  const { amphora } = view;
  const owner = { type: 'amphora', id: amphora.id } as const;
  // Asked for, perhaps by a worker that died before it could record the answer: a list may show it late, so it is not asked for twice.
  const listed_by = (amphora.boot_started_ms ?? 0) + observed.limits.late_listing_ms;
  if (amphora.boot_started_ms !== null && observed.now_ms < listed_by) {
    const wait = poll(observed, amphora.boot_started_ms, 'Its instance is not listed yet.');
    return { steps: [...cleaning, ...missingPort(view, vrrp)], wait, isServing: false };
  }
  if (amphora.compute_id === null) {
    return doing([...cleaning, ...missingPort(view, vrrp), { step: 'create_instance', owner, amphora_id: amphora.id }]);
  }
  return doing([...cleaning, { step: 'condemn', owner, amphora_id: amphora.id, reason: 'Its instance is gone.' }]);
}

const missingPort = (view: AmphoraView, vrrp: Port | undefined): AmphoraStep[] =>
  vrrp ? [] : [{ step: 'create_vrrp_port', owner: { type: 'amphora', id: view.amphora.id }, amphora_id: view.amphora.id }];

/** The VIP's port and a port for each network that members are on, all attached. */
function planPorts(
  tree: LoadBalancerTree,
  observed: Observed,
  view: AmphoraView,
  instance: Instance,
  vrrp: Port | undefined,
): AmphoraStep[] {
  const { amphora } = view;
  const owner = { type: 'amphora', id: amphora.id } as const;
  if (!vrrp) return missingPort(view, vrrp);
  const steps: AmphoraStep[] = [...differingPort(tree.loadbalancer, owner, vrrp)];
  if (amphora.vrrp_port_id !== vrrp.id) steps.push({ step: 'record_vrrp_port', owner, amphora_id: amphora.id, port_id: vrrp.id });
  const wanted = memberPorts(tree, observed);
  const existing = view.ports.filter((port) => port.name === memberPortName(amphora.id));
  const kept = existing.filter((port) => isAsWanted(port, wanted.get(port.network_id)));
  for (const port of existing)
    if (!kept.includes(port)) steps.push({ step: 'delete_port', owner, port_id: port.id, compute_id: instance.compute_id });
  for (const [network_id, { subnet_ids, vnic_type }] of wanted) {
    if (!kept.some((port) => port.network_id === network_id))
      steps.push({ step: 'create_member_port', owner, amphora_id: amphora.id, network_id, subnet_ids, vnic_type });
  }
  for (const port of [vrrp, ...kept]) {
    if (!instance.port_ids.includes(port.id))
      steps.push({ step: 'attach_port', owner, amphora_id: amphora.id, compute_id: instance.compute_id, port_id: port.id });
  }
  return steps;
}

/** The step for a port on the VIP's network whose security groups or QoS policy are not those of the load balancer. */
export function differingPort(lb: LoadBalancer, owner: AmphoraStep['owner'], port: Port | undefined): AmphoraStep[] {
  if (port === undefined) return [];
  const isSame = sameSet(port.security_groups, lb.vip_sg_ids) && port.qos_policy_id === lb.vip_qos_policy_id;
  return isSame ? [] : [{ step: 'update_port', owner, port_id: port.id }];
}

/** What the port towards some members is to be. */
type MemberPort = { readonly subnet_ids: readonly string[]; readonly vnic_type: Member['vnic_type'] };

/**
 * Ports towards members by network, without the subnets that a VIP is on; unknown subnets are reached by routing. One member
 * that asked for a virtual function decides for its network: the others are reached by it, too.
 */
function memberPorts(tree: LoadBalancerTree, observed: Observed): Map<string, MemberPort> {
  const vips = new Set(vipsOf(tree.loadbalancer).map((vip) => vip.subnet_id));
  const wanted = new Map<string, MemberPort>();
  for (const member of tree.pools.flatMap((pool) => pool.members)) {
    if (member.subnet_id === null || member.provisioning_status === 'PENDING_DELETE' || vips.has(member.subnet_id)) continue;
    const subnet = observed.subnets.get(member.subnet_id);
    if (!subnet) continue;
    const { subnet_ids, vnic_type } = wanted.get(subnet.network_id) ?? { subnet_ids: [], vnic_type: 'normal' };
    wanted.set(subnet.network_id, {
      subnet_ids: subnet_ids.includes(subnet.id) ? subnet_ids : [...subnet_ids, subnet.id],
      vnic_type: member.vnic_type === 'direct' ? 'direct' : vnic_type,
    });
  }
  return wanted;
}

const isAsWanted = (port: Port, wanted: MemberPort | undefined): boolean =>
  sameSet(wanted?.subnet_ids, subnetsOf(port)) && (port.vnic_type ?? 'normal') === wanted?.vnic_type;

const subnetsOf = (port: Port): string[] => [...new Set(port.fixed_ips.map((ip) => ip.subnet_id))];

const sameSet = (left: readonly string[] | undefined, right: readonly string[]): boolean =>
  left !== undefined && left.length === right.length && left.every((each) => right.includes(each));

/** The agent does not answer: normal while booting, a reason to replace the amphora after that. */
function planSilent(observed: Observed, view: AmphoraView): Progress {
  if (view.amphora.status === 'PENDING_CREATE' || view.amphora.status === 'BOOTING') {
    return { ...waitForBoot(observed, view, 'Its agent does not answer yet.'), steps: overdue(observed, view) };
  }
  const deadline = observed.started_ms + observed.limits.silence_timeout_ms;
  if (observed.now_ms < deadline)
    return { steps: [], wait: poll(observed, observed.started_ms, 'Its agent does not answer.'), isServing: false };
  const owner = { type: 'amphora', id: view.amphora.id } as const;
  return doing([{ step: 'condemn', owner, amphora_id: view.amphora.id, reason: 'Its agent does not answer any more.' }]);
}

/** Interfaces, then the configuration, then what the agent itself is due: its own configuration, its certificate. */
function planAgent(tree: LoadBalancerTree, view: AmphoraView, agent: ObservedAgent, vrrp: Port): Progress {
  const { amphora } = view;
  const owner = { type: 'amphora', id: amphora.id } as const;
  const plugs: AmphoraStep[] = [];
  const vips = vipsOf(tree.loadbalancer).map((vip) => vip.ip_address);
  // In a VRRP pair keepalived moves the VIPs; only the port's own address is always there.
  const own = [ownAddress(tree.loadbalancer, vrrp)].filter((address) => address !== undefined);
  if (!hasAddresses(agent, vrrp, tree.loadbalancer.topology === 'SINGLE' ? [...own, ...vips] : own))
    plugs.push({ step: 'plug_vip', owner, amphora_id: amphora.id, port_id: vrrp.id });
  for (const port of view.ports) {
    if (port.name !== memberPortName(amphora.id)) continue;
    const addresses = port.fixed_ips.map((ip) => ip.ip_address);
    if (!hasAddresses(agent, port, addresses)) plugs.push({ step: 'plug_network', owner, amphora_id: amphora.id, port_id: port.id });
  }
  // HAProxy may listen on addresses that are not there yet, so its start need not wait for the interfaces.
  // Probes of UDP members begin at once, and would find no way to them.
  const steps = [...plugs, ...configurationStep(view, agent), ...(plugs.length === 0 ? datagramStep(view, agent) : [])];
  if (steps.length > 0) return doing(steps);
  if (amphora.config_due) return doing([{ step: 'configure_agent', owner, amphora_id: amphora.id }]);
  if (amphora.cert_busy) return doing([{ step: 'renew_certificate', owner, amphora_id: amphora.id }]);
  if (amphora.status !== 'ALLOCATED') return doing([{ step: 'allocate', owner, amphora_id: amphora.id }]);
  return { steps: [], wait: null, isServing: true };
}

/**
 * HAProxy runs what it should, or nothing where there is nothing to serve. What the configuration names comes with it,
 * what it no longer names goes after it.
 */
function configurationStep({ amphora, wanted }: AmphoraView, agent: ObservedAgent): AmphoraStep[] {
  const owner = { type: 'amphora', id: amphora.id } as const;
  if (wanted === null)
    return agent.configuration_md5 !== null || agent.running || agent.tls_files.size > 0
      ? [{ step: 'delete_configuration', owner, amphora_id: amphora.id }]
      : [];
  const missing_files = [...wanted.tls_files].filter(([name, file]) => agent.tls_files.get(name) !== file.md5).map(([name]) => name);
  if (missing_files.length > 0 || agent.configuration_md5 !== wanted.md5 || !agent.running)
    return [{ step: 'put_configuration', owner, amphora_id: amphora.id, missing_files }];
  const names = [...agent.tls_files.keys()].filter((name) => !wanted.tls_files.has(name));
  return names.length > 0 ? [{ step: 'delete_tls_files', owner, amphora_id: amphora.id, names }] : [];
}

/** The kernel passes on what it should, or nothing where there is nothing. */
function datagramStep({ amphora, wanted_datagram }: AmphoraView, agent: ObservedAgent): AmphoraStep[] {
  if (agent.datagram_md5 === (wanted_datagram?.md5 ?? null)) return [];
  return [{ step: 'put_datagram', owner: { type: 'amphora', id: amphora.id }, amphora_id: amphora.id }];
}

const hasAddresses = (agent: ObservedAgent, port: Port, addresses: readonly string[]): boolean => {
  const plugged = agent.plugged.find((each) => each.mac_address?.toLowerCase() === port.mac_address.toLowerCase());
  return plugged !== undefined && addresses.every((address) => plugged.addresses.includes(address));
};

const overdue = (observed: Observed, view: AmphoraView): AmphoraStep[] =>
  observed.now_ms < bootDeadline(observed, view)
    ? []
    : [
        {
          step: 'condemn',
          owner: { type: 'amphora', id: view.amphora.id },
          amphora_id: view.amphora.id,
          reason: 'It did not come up in time.',
        },
      ];

const bootDeadline = (observed: Observed, view: AmphoraView): number =>
  (view.amphora.boot_started_ms ?? view.instances[0]?.created_ms ?? observed.started_ms) + observed.limits.boot_timeout_ms;

const waitForBoot = (observed: Observed, view: AmphoraView, reason: string): Progress => ({
  steps: [],
  wait: poll(observed, view.amphora.boot_started_ms ?? view.instances[0]?.created_ms ?? null, reason),
  isServing: false,
});

/** Looks again after an eighth of the time waited so far: 10 ms for a container, some seconds for a virtual machine. */
function poll(observed: Observed, since_ms: number | null, reason: string): Wait {
  const age = Math.max(0, observed.now_ms - (since_ms ?? observed.now_ms));
  return { until_ms: observed.now_ms + Math.min(5000, Math.max(10, Math.round(age / 8))), reason };
}
