/** The routes of the amphora REST API 1.0 that this agent serves. */
import { writeFileAtomic } from '../lib/atomic-file.ts';
import { ALREADY_PLUGGED } from '../wire/agent-api.ts';
import type { AgentCapability, AgentDetails, AgentInfo, AgentState, ListenerEntry, ServiceAnswer } from '../wire/agent-api.ts';
import { checkedAddress, checkedMac } from './addresses.ts';
import { accepted, jsonBody, refuse } from './answers.ts';
import type { Answer, Call } from './answers.ts';
import { certificateMd5, checkServerPem, listCertificates, removeCertificate, storeCertificate } from './certificates.ts';
import type { DatagramService } from './datagram/service.ts';
import type { Generations } from './generations.ts';
import { listenersOf } from './haproxy-config.ts';
import type { HaproxyService } from './haproxy-service.ts';
import { checkedListMd5, storeList } from './runtime/lists.ts';
import { networkInterface, vipInterface, withFixedIps } from './interface-file.ts';
import type { Interfaces } from './interfaces.ts';
import type { Keepalived } from './keepalived.ts';
import type { Logs } from './logs/service.ts';
import { describeMachine, maxconnLimit, measureMachine } from './machine.ts';
import { checkedId } from './places.ts';
import type { Places } from './places.ts';
import type { Route } from './router.ts';
import { md5Of } from './runtime/wanted.ts';
import type { AgentSettings } from './settings.ts';

/** What the routes act on. */
export type RouteParts = {
  readonly places: Places;
  readonly boot_id: string;
  readonly haproxy: HaproxyService;
  readonly interfaces: Interfaces;
  readonly keepalived: Keepalived;
  readonly datagrams: DatagramService;
  readonly generations: Generations;
  /** Is there what UDP and SCTP need? */
  readonly can_pass_datagrams: boolean;
  readonly ping_command: string | null;
  readonly logs: Logs;
  /** Is there the pipe that HAProxy writes to? */
  readonly can_log_flows: boolean;
  /** The configuration as it is now. */
  readonly settings: () => AgentSettings;
  /** Takes another configuration; throws when it cannot be read. */
  readonly reconfigure: (text: string) => Promise<void>;
  /** Shows another certificate from now on. */
  readonly useCertificate: (pem: string) => void;
};

const NO_BODY = 1024;
const JSON_BODY = 256 * 1024;
const PEM_BODY = 1024 * 1024;
const CONFIG_BODY = 32 * 1024 * 1024;

/** All routes. */
export function agentRoutes(parts: RouteParts): readonly Route[] {
  return [
    ...systemRoutes(parts),
    ...haproxyRoutes(parts),
    ...certificateRoutes(parts),
    ...listRoutes(parts),
    ...plugRoutes(parts),
    ...vrrpRoutes(parts),
  ];
}

function systemRoutes(parts: RouteParts): readonly Route[] {
  const { interfaces } = parts;
  return [
    { method: 'GET', path: '/', limit_bytes: NO_BODY, handler: async () => ({ status: 200, body: { api_version: '1.0' } }) },
    { method: 'GET', path: '/1.0/info', limit_bytes: NO_BODY, handler: async () => ({ status: 200, body: await describeAgent(parts) }) },
    {
      method: 'GET',
      path: '/1.0/details',
      limit_bytes: NO_BODY,
      handler: async () => ({ status: 200, body: await describeDetails(parts) }),
    },
    {
      method: 'PUT',
      path: '/1.0/config',
      limit_bytes: JSON_BODY,
      handler: async ({ body }) => {
        await parts.reconfigure(body.toString('utf8'));
        return accepted(202);
      },
    },
    {
      method: 'PUT',
      path: '/1.0/certificate',
      limit_bytes: PEM_BODY,
      handler: async ({ body }) => {
        const pem = body.toString('utf8');
        checkServerPem(pem);
        await writeFileAtomic(parts.settings().agent_server_cert, pem, { mode: 0o600 });
        parts.useCertificate(pem);
        return accepted(202);
      },
    },
    {
      method: 'GET',
      path: '/1.0/interface/{ip}',
      limit_bytes: NO_BODY,
      handler: async ({ params }) => {
        const name = await interfaces.interfaceOf(checkedAddress(params['ip'], 'the address'));
        if (name === undefined) throw refuse(404, 'Error interface not found for IP address');
        return { status: 200, body: { message: 'OK', interface: name } };
      },
    },
    {
      method: 'GET',
      path: '/1.0/listeners',
      limit_bytes: NO_BODY,
      handler: async () => ({ status: 200, body: await listListeners(parts) }),
    },
    {
      method: 'DELETE',
      path: '/1.0/listeners/{id}',
      limit_bytes: NO_BODY,
      handler: async ({ params }) => {
        await parts.haproxy.remove(checkedId(params['id']));
        return accepted(200);
      },
    },
  ];
}

function haproxyRoutes({ haproxy, datagrams }: RouteParts): readonly Route[] {
  const serve = async ({ params }: Call): Promise<Answer> => {
    const text = await haproxy.config(checkedId(params['lb']));
    if (text === undefined) throw refuse(404, 'Load balancer Not Found', `No load balancer with UUID: ${params['lb']}`);
    return { status: 200, body: text, etag: md5Of(text) };
  };
  const store = async ({ params, body, generation }: Call): Promise<Answer> => {
    checkedId(params['amphora']);
    const md5 = await haproxy.accept(checkedId(params['lb']), body, generation ?? 0);
    return { ...accepted(202), etag: md5 };
  };
  const passOn = async ({ params, body }: Call): Promise<Answer> => {
    checkedId(params['amphora']);
    checkedId(params['lb']);
    return { ...accepted(202), etag: await datagrams.put(body.toString('utf8')) };
  };
  const act = async ({ params }: Call): Promise<Answer> => {
    const id = checkedId(params['lb']);
    const action = params['action'];
    const details = (what: string): string => `Configuration file is valid\nhaproxy daemon for ${id} ${what}`;
    if (action === 'stop') {
      await haproxy.stop(id);
      return accepted(202, details('stopped'));
    }
    if (action !== 'start' && action !== 'reload') throw refuse(400, 'Invalid Request', `Unknown action: ${action}`);
    const octavia = await haproxy.run(id);
    return { status: 202, body: { message: 'OK', details: details('started'), octavia } satisfies ServiceAnswer };
  };
  return [
    { method: 'PUT', path: '/1.0/loadbalancer/{amphora}/{lb}/haproxy', limit_bytes: CONFIG_BODY, handler: store },
    { method: 'PUT', path: '/1.0/loadbalancer/{amphora}/{lb}/datagram', limit_bytes: CONFIG_BODY, handler: passOn },
    { method: 'GET', path: '/1.0/loadbalancer/{lb}/haproxy', limit_bytes: NO_BODY, handler: serve },
    { method: 'PUT', path: '/1.0/loadbalancer/{lb}/{action}', limit_bytes: NO_BODY, handler: act },
  ];
}

function certificateRoutes({ places }: RouteParts): readonly Route[] {
  const path = '/1.0/loadbalancer/{lb}/certificates/{name}';
  const store = async ({ params, body }: Call): Promise<Answer> => {
    const md5 = await storeCertificate(places, checkedId(params['lb']), params['name'], body);
    return { ...accepted(200), etag: md5 };
  };
  const show = async ({ params }: Call): Promise<Answer> => {
    const md5sum = await certificateMd5(places, checkedId(params['lb']), params['name']);
    return { status: 200, body: { md5sum }, etag: md5sum };
  };
  const remove = async ({ params }: Call): Promise<Answer> => {
    await removeCertificate(places, checkedId(params['lb']), params['name']);
    return accepted(200);
  };
  return [
    { method: 'PUT', path, limit_bytes: PEM_BODY, handler: store },
    { method: 'GET', path, limit_bytes: NO_BODY, handler: show },
    { method: 'DELETE', path, limit_bytes: NO_BODY, handler: remove },
  ];
}

function listRoutes({ places }: RouteParts): readonly Route[] {
  const path = '/1.0/loadbalancer/{lb}/lists/{name}';
  const store = async ({ params, body }: Call): Promise<Answer> => {
    const md5 = await storeList(places, checkedId(params['lb']), params['name'], body);
    return { ...accepted(200), etag: md5 };
  };
  const show = async ({ params }: Call): Promise<Answer> => {
    const md5sum = await checkedListMd5(places, checkedId(params['lb']), params['name']);
    return { status: 200, body: { md5sum }, etag: md5sum };
  };
  return [
    { method: 'PUT', path, limit_bytes: CONFIG_BODY, handler: store },
    { method: 'GET', path, limit_bytes: NO_BODY, handler: show },
  ];
}

function plugRoutes({ interfaces, settings }: RouteParts): readonly Route[] {
  const answerTo = (isNew: boolean, what: string): Answer => {
    if (!isNew) throw refuse(409, ALREADY_PLUGGED);
    return accepted(202, what);
  };
  const plugVip = async ({ params, body, local_address }: Call): Promise<Answer> => {
    const request = jsonBody(body);
    const file = vipInterface(params['vip'], request, settings().topology);
    const isNew = await interfaces.plug(file.mac_address, local_address, () => file);
    return answerTo(isNew, `VIP ${file.vip} plugged on interface ${file.name}`);
  };
  const plugNetwork = async ({ body, local_address }: Call): Promise<Answer> => {
    const request = jsonBody(body);
    const shared = request['vip_net_info'] as Record<string, unknown> | null | undefined;
    const vip =
      shared === undefined || shared === null
        ? undefined
        : vipInterface(shared['vip'], { ...shared, mac_address: request['mac_address'] }, settings().topology);
    const describe = (name: string) => (vip === undefined ? networkInterface(name, request) : withFixedIps(vip, request['fixed_ips']));
    const isNew = await interfaces.plug(checkedMac(request['mac_address']), local_address, describe);
    return answerTo(isNew, 'Plugged');
  };
  return [
    { method: 'POST', path: '/1.0/plug/vip/{vip}', limit_bytes: JSON_BODY, handler: plugVip },
    { method: 'POST', path: '/1.0/plug/network', limit_bytes: JSON_BODY, handler: plugNetwork },
  ];
}

function vrrpRoutes({ keepalived }: RouteParts): readonly Route[] {
  const act = async ({ params }: Call): Promise<Answer> => {
    const action = params['action'];
    if (action === 'stop') await keepalived.stop();
    else if (action === 'start' || action === 'reload') await keepalived.start();
    else throw refuse(400, 'Invalid Request', `Unknown action: ${action}`);
    return accepted(202);
  };
  const upload = async ({ body }: Call): Promise<Answer> => ({ ...accepted(200), etag: await keepalived.upload(body) });
  return [
    { method: 'PUT', path: '/1.0/vrrp/upload', limit_bytes: JSON_BODY, handler: upload },
    { method: 'PUT', path: '/1.0/vrrp/{action}', limit_bytes: NO_BODY, handler: act },
  ];
}

async function describeAgent(parts: RouteParts): Promise<AgentInfo> {
  const { places, boot_id, generations } = parts;
  const [machine, loadbalancers, certificates, plugged, maxconn_limit, changes, datagram, not_written] = await Promise.all([
    describeMachine(),
    parts.haproxy.states(),
    listCertificates(places),
    parts.interfaces.plugged(),
    maxconnLimit(),
    parts.haproxy.changes(),
    parts.datagrams.info(),
    parts.haproxy.unwrittenLogs(),
  ]);
  const octavia: AgentState = {
    boot_id,
    amphora_id: parts.settings().amphora_id,
    generation: generations.highest,
    base_path: places.base_path,
    run_path: places.run_dir,
    cert_path: places.base_cert_dir,
    loadbalancers,
    certificates,
    plugged,
    ping_command: parts.ping_command,
    maxconn_limit,
    changes,
    datagram,
    logs: { ...parts.logs.info(), not_written },
  };
  const capabilities: AgentCapability[] = ['generation', 'loaded-md5', 'lists', 'certificates', 'metrics'];
  if (parts.can_pass_datagrams) capabilities.push('datagram');
  if (parts.can_log_flows) capabilities.push('logs');
  return { ...machine, capabilities, octavia };
}

async function describeDetails(parts: RouteParts): Promise<AgentDetails> {
  const { places } = parts;
  const [machine, measured, networks, states, listeners] = await Promise.all([
    describeMachine(),
    measureMachine(places.base_path),
    parts.interfaces.counters(),
    parts.haproxy.states(),
    listListeners(parts),
  ]);
  const running = Object.values(states).filter((state) => state.running);
  return {
    ...machine,
    ...measured,
    networks,
    active: true,
    haproxy_count: running.length,
    lvs_listener_process_count: 0,
    active_tuned_profiles: '',
    topology: parts.settings().topology,
    topology_status: '',
    listeners: listeners.map((listener) => listener.uuid),
    packages: {},
  };
}

async function listListeners({ haproxy }: RouteParts): Promise<readonly ListenerEntry[]> {
  const states = Object.entries(await haproxy.states());
  const entries = await Promise.all(
    states.map(async ([id, state]) => {
      const status = state.running ? ('ACTIVE' as const) : ('OFFLINE' as const);
      return listenersOf((await haproxy.config(id)) ?? '').map((listener) => ({ status, uuid: listener.id, type: listener.mode }));
    }),
  );
  return entries.flat();
}
