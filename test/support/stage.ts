/** What stories about load balancers on this machine start from: an Octavia of their own, its subnets, and two members. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { run } from '../../src/lib/run.ts';
import { findSubnet, type ShownLoadBalancer, type ShownSubnet } from './load-balancers.ts';
import { startMember, type TestMember } from './members.ts';
import { tracesOf } from './namespaces.ts';
import { type ApiClient, type Octavia, type OctaviaOptions, signIn, startOctavia } from './octavia.ts';
import type { Target } from './traffic.ts';

/** What all stories of a file share. */
export type Stage = {
  readonly octavia: Octavia;
  readonly state_id: string;
  readonly client: ApiClient;
  readonly admin: ApiClient;
  readonly subnet: ShownSubnet;
  readonly subnet6: ShownSubnet | undefined;
  readonly blue: TestMember;
  readonly green: TestMember;
};

/** Starts it all; it ends with the test. */
export async function openStage(t: Pick<TestContext, 'after'>, options: OctaviaOptions = {}): Promise<Stage> {
  const octavia = await startOctavia(t, options);
  const client = await signIn(octavia);
  const subnet = await findSubnet(client, 'private-subnet');
  if (!subnet) throw new Error('there is no private-subnet');
  return {
    octavia,
    state_id: readFileSync(join(octavia.state_dir, 'state-id'), 'utf8').trim(),
    client,
    admin: await signIn(octavia, 'admin'),
    subnet,
    subnet6: await findSubnet(client, 'private-subnet-v6'),
    blue: await startMember(t, { name: 'blue', address: subnet.gateway_ip }),
    green: await startMember(t, { name: 'green', address: subnet.gateway_ip }),
  };
}

/** The monitor of pools: quick to see a death. */
export const monitor = { type: 'HTTP', delay: 1, timeout: 1, max_retries: 1, max_retries_down: 2 };

/** When a dead member must have no traffic any more: delay × max_retries_down + timeout + 1 s. */
export const detection_ms = 1000 * (monitor.delay * monitor.max_retries_down + monitor.timeout + 1);

/** A member as the API takes it. */
export const asMember = ({ name, address, port }: TestMember) => ({ name, address, protocol_port: port });

/** The body of a load balancer with one listener at port 80 and one pool. */
export const wholeTree = (
  name: string,
  vip_subnet_id: string,
  members: readonly object[],
  pool: object = {},
  protocol = 'HTTP',
): object => ({
  name,
  vip_subnet_id,
  listeners: [{ name: `${name}-listener`, protocol, protocol_port: 80, default_pool: { name: `${name}-pool` } }],
  pools: [{ name: `${name}-pool`, protocol, lb_algorithm: 'ROUND_ROBIN', members, healthmonitor: monitor, ...pool }],
});

/** Port 80 of its VIP. */
export const vipOf = ({ vip_address }: ShownLoadBalancer, protocol: Target['protocol'] = 'http'): Target => ({
  address: vip_address,
  port: 80,
  protocol,
});

/** The first pool of the 201. */
export const poolOf = (lb: ShownLoadBalancer): string => lb.pools[0]?.id ?? '';

/**
 * All that an amphora could leave behind, as sorted lines: traces on the machine, wires at bridges, folders, ports and rows.
 * Processes are told by their programs, because some of an amphora's come and go.
 */
export async function machineState({ octavia, admin, state_id }: Stage): Promise<readonly string[]> {
  const wires = await run('ip', ['-n', `oct-${state_id}`, '-o', 'link', 'show']);
  const instances = readdirSync(join(octavia.state_dir, 'instances'));
  const { ports } = await admin.call<{ ports: { name: string; device_owner: string }[] }>('GET', '/network/v2.0/ports');
  const { amphorae } = await admin.call<{ amphorae: { id: string; status: string }[] }>('GET', '/v2.0/octavia/amphorae');
  return [
    ...(await tracesOf(state_id)).map(named).filter((line) => line !== null),
    ...[...wires.matchAll(/^\d+: ([^:@]+)/gmu)].map((match) => `wire ${match[1]}`),
    ...instances.map((name) => `instance ${name}`),
    ...ports.map((port) => `port ${port.name} ${port.device_owner}`),
    ...amphorae.map((amphora) => `amphora ${amphora.id} ${amphora.status}`),
  ].toSorted();
}

/** A process by its program instead of its number; null for one that ended meanwhile, and for the clock of an init. */
function named(trace: string): string | null {
  const pid = /^process (\d+)$/u.exec(trace)?.[1];
  if (pid === undefined) return trace;
  const words = commandOf(Number(pid));
  return words.length === 0 || words[0] === 'sleep' ? null : `process ${words.slice(0, 2).join(' ')}`;
}

/** The command line of a process; empty when it is gone. */
export function commandOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').filter(Boolean);
  } catch {
    return [];
  }
}
