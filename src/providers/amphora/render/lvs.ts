/**
 * A UDP or SCTP listener for amphorae whose kernel has IPVS and whose agent is upstream's: the configuration of one keepalived, with
 * the comments from which that agent reads ids back. Pure.
 */
import { ipVersion } from '../../../model/rules/addresses.ts';
import type { DatagramListener, DatagramMember, DatagramMonitor, DatagramPool } from '../../../wire/datagram.ts';

/** Where upstream's image has its probes. */
const UDP_CHECK = '/var/lib/octavia/lvs/check/udp_check.sh';
const SCTP_CHECK = 'amphora-health-checker sctp';

const algorithms: Readonly<Record<DatagramPool['algorithm'], string>> = { round_robin: 'wrr', least_connections: 'lc', source_ip: 'sh' };

type Line = string;
type Block = { readonly head: string; readonly lines: readonly (Line | Block)[] };

/** Renders a listener; `loadbalancer_id` and all ids are UUIDs, addresses and numbers were checked when the document was made. */
export function renderLvs(loadbalancer_id: string, listener: DatagramListener): string {
  const head = [
    `# Configuration for Loadbalancer ${loadbalancer_id}`,
    `# Configuration for Listener ${listener.id}`,
    'net_namespace amphora-haproxy',
  ];
  const groups = ([4, 6] as const).flatMap((version) => serverGroup(listener, version));
  return `${[...head, ...groups].flatMap((each) => written(each, 0)).join('\n')}\n`;
}

function serverGroup(listener: DatagramListener, version: 4 | 6): (Line | Block)[] {
  const vips = listener.vips.filter((vip) => ipVersion(vip) === version);
  if (vips.length === 0) return [];
  const name = `ipv${version}-group`;
  const { pool } = listener;
  const lines: (Line | Block)[] = [
    `lb_algo ${algorithms[pool?.algorithm ?? 'round_robin']}`,
    'lb_kind NAT',
    `protocol ${listener.protocol.toUpperCase()}`,
    ...(pool === null ? [] : poolLines(pool, listener, version)),
  ];
  return [
    { head: `virtual_server_group ${name}`, lines: vips.map((vip) => `${vip} ${listener.port}`) },
    { head: `virtual_server group ${name}`, lines },
  ];
}

function poolLines(pool: DatagramPool, listener: DatagramListener, version: 4 | 6): (Line | Block)[] {
  const { persistence, monitor } = pool;
  return [
    ...(persistence === null
      ? []
      : [
          `persistence_timeout ${persistence.timeout_seconds}`,
          `persistence_granularity ${version === 4 ? netmask(persistence.prefix4) : persistence.prefix6}`,
        ]),
    ...(monitor === null ? [] : [`delay_loop ${monitor.delay}`, `delay_before_retry ${monitor.delay}`, `retry ${monitor.fall}`]),
    `# Configuration for Pool ${pool.id}`,
    ...(monitor === null ? [] : [`# Configuration for HealthMonitor ${monitor.id}`]),
    ...pool.members.filter((member) => ipVersion(member.address) === version).flatMap((member) => memberLines(member, monitor, listener)),
  ];
}

function memberLines(member: DatagramMember, monitor: DatagramMonitor | null, listener: DatagramListener): (Line | Block)[] {
  if (!member.admin_state_up) return [`# Member ${member.id} is disabled`];
  const lines: (Line | Block)[] = [
    `weight ${member.weight}`,
    ...(listener.connection_limit === null ? [] : [`uthreshold ${listener.connection_limit}`]),
    ...(monitor === null ? [] : [check(monitor, member)]),
  ];
  return [`# Configuration for Member ${member.id}`, { head: `real_server ${member.address} ${member.port}`, lines }];
}

function check(monitor: DatagramMonitor, { monitor_address: address, monitor_port: port }: DatagramMember): Block {
  const connect = [`connect_ip ${address}`, `connect_port ${port}`, `connect_timeout ${monitor.timeout}`];
  switch (monitor.type) {
    case 'udp-connect':
      return { head: 'MISC_CHECK', lines: [`misc_path "${UDP_CHECK} ${address} ${port}"`, `misc_timeout ${monitor.timeout}`] };
    case 'sctp':
      return {
        head: 'MISC_CHECK',
        lines: [`misc_path "${SCTP_CHECK} -t ${monitor.timeout} ${address} ${port}"`, `misc_timeout ${monitor.timeout + 1}`],
      };
    case 'tcp':
      return { head: 'TCP_CHECK', lines: connect };
    case 'http': {
      // keepalived knows one code for a URL: each code of each range has one.
      const codes = monitor.codes.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, index) => from + index));
      return {
        head: 'HTTP_GET',
        lines: [...codes.map((code) => ({ head: 'url', lines: [`path ${quoted(monitor.path)}`, `status_code ${code}`] })), ...connect],
      };
    }
  }
}

/** keepalived ends a quoted string at the next quote and knows no escape in it; a path has none (the API refuses them). */
const quoted = (text: string): string => {
  if (/["\\\p{Cc}]/u.test(text)) throw new TypeError('a path for keepalived cannot contain quotes, backslashes or control characters');
  return `"${text}"`;
};

function netmask(prefix: number): string {
  return [0, 8, 16, 24].map((shift) => 256 - 2 ** (8 - Math.min(8, Math.max(0, prefix - shift)))).join('.');
}

function written(each: Line | Block, depth: number): string[] {
  const indent = '    '.repeat(depth);
  if (typeof each === 'string') return [`${indent}${each}`];
  return [`${indent}${each.head} {`, ...each.lines.flatMap((line) => written(line, depth + 1)), `${indent}}`];
}
