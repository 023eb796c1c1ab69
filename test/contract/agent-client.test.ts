import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { inspect } from 'node:util';
import { Secret } from '../../src/lib/secret.ts';
import { type Amphora, Retry } from '../../src/model/index.ts';
import { AgentClient, type AgentClientOptions, type AmphoraAgents, ConfigRefused } from '../../src/providers/amphora/agent-client.ts';
import { createAuthority, issueCertificate, type Validity } from '../../src/providers/amphora/pki.ts';
import { AgentServer } from '../support/agent-server.ts';
import { sampleAmphora, sampleId } from '../support/sample-trees.ts';

const validity: Validity = { seconds: 3600, digest: 'sha256', now_ms: Date.now() };
const servers = createAuthority('servers', validity);
const clients = createAuthority('clients', validity);
const lb = sampleId('loadbalancer');
const amphora = sampleAmphora();
const md5 = (text: string): string => createHash('md5').update(text).digest('hex');
const mac = 'fa:16:3e:00:00:01';
const vip = {
  vip: '198.51.100.10',
  subnet_cidr: '198.51.100.0/24',
  gateway: null,
  mac_address: mac,
  mtu: 1500,
  vrrp_ip: '198.51.100.11',
  host_routes: [],
  additional_vips: [],
};
const signal = new AbortController().signal;

/** An agent server and a client for it. */
async function start(kind: 'ours' | 'upstream', change: { name?: string; client?: typeof clients; timeout_ms?: number } = {}) {
  const certificate = issueCertificate(servers, change.name ?? amphora.id, validity);
  const server = new AgentServer({ kind, amphora_id: amphora.id, certificate, clients });
  const port = await server.listen();
  const changes: unknown[] = [];
  const options = {
    server_ca: servers.certificate.toString(),
    client: issueCertificate(change.client ?? clients, 'octavia-controller', validity),
    port,
    lb_network_interface: null,
    connect_timeout_ms: change.timeout_ms ?? 2000,
    read_timeout_ms: change.timeout_ms ?? 2000,
    base_path: '/var/lib/octavia',
    noteChange: (...noted: Parameters<NonNullable<AgentClientOptions['noteChange']>>) => void changes.push(noted),
  };
  const client = new AgentClient(options);
  const stop = async (): Promise<void> => {
    await server.close();
    await client.close();
  };
  return { server, client, stop, options, changes };
}

type Started = Awaited<ReturnType<typeof start>>;

/** Runs a test with an agent of its own. */
const withAgent =
  (kind: 'ours' | 'upstream', work: (started: Started) => Promise<void>, change: Parameters<typeof start>[1] = {}) =>
  async (): Promise<void> => {
    const started = await start(kind, change);
    try {
      await work(started);
    } finally {
      await started.stop();
    }
  };

for (const kind of ['ours', 'upstream'] as const) {
  describe(`the agent client and an agent of kind ${kind}`, () => {
    let started: Started;
    let agents: AmphoraAgents;
    before(async () => {
      started = await start(kind);
      agents = started.client;
    });
    after(() => started.stop());

    test('sees an empty agent first', async () => {
      const seen = await agents.describe(amphora, 0, signal);
      assert.equal(seen?.api_version, '1.0');
      assert.deepEqual([seen?.configuration_md5, seen?.running, seen?.revision, seen?.plugged], [null, false, 0, []]);
    });

    test('plugs the VIP, and again without harm', async () => {
      await agents.plugVip(amphora, vip, 1, signal);
      await agents.plugVip(amphora, vip, 1, signal);
      assert.deepEqual([...started.server.plugged], [[mac, ['198.51.100.10', '198.51.100.11']]]);
      const plugged = (await agents.describe(amphora, 1, signal))?.plugged.map(({ mac_address, addresses }) => ({
        mac_address,
        addresses,
      }));
      assert.deepEqual(plugged, [{ mac_address: mac, addresses: ['198.51.100.10', '198.51.100.11'] }]);
      assert.equal('vip' in (JSON.parse(started.server.calls.find((call) => call.method === 'POST')?.body ?? '') as object), false);
    });

    test('plugs a network towards members', async () => {
      const fixed_ips = [{ ip_address: '10.0.0.9', subnet_cidr: '10.0.0.0/24', gateway: null, host_routes: [] }];
      await agents.plugNetwork(amphora, { mac_address: 'fa:16:3e:00:00:02', mtu: 1500, fixed_ips }, 1, signal);
      assert.deepEqual((await agents.describe(amphora, 1, signal))?.plugged[1]?.addresses, ['10.0.0.9']);
    });

    test('waits for a network card that is not there yet', async () => {
      await assert.rejects(agents.plugVip(amphora, { ...vip, mac_address: 'ff:ff:ff:ff:ff:ff' }, 1, signal), Retry);
    });

    test('makes HAProxy run with a configuration and sees that it does', async () => {
      await agents.putHaproxy(amphora, lb, 'global\n', 2, signal);
      const told = [
        { amphora_id: amphora.id, loadbalancer_id: lb },
        { how: 'reload', commands: 0, reason: 'a test', took_ms: 1 },
      ];
      assert.deepEqual(started.changes, kind === 'ours' ? [told] : []);
      const seen = await agents.describe(amphora, 2, signal);
      assert.deepEqual([seen?.configuration_md5, seen?.running], [md5('global\n'), true]);
      assert.equal(seen?.revision, kind === 'ours' ? 2 : 0);
      assert.deepEqual(
        started.server.calls
          .slice(-6)
          .filter((call) => call.method === 'PUT')
          .map((call) => call.path),
        [`/1.0/loadbalancer/${amphora.id}/${lb}/haproxy`, `/1.0/loadbalancer/${lb}/reload`],
      );
    });

    test('puts a certificate once, sees it, and removes it', async () => {
      const file = { name: 'sni.0123456789ab.0123456789abcdef0123456789abcdef.pem', content: new Secret('-----BEGIN KEY-----') };
      await agents.putTlsFile(amphora, lb, file, 2, signal);
      await agents.putTlsFile(amphora, lb, file, 2, signal);
      assert.equal(started.server.tls_files.get(lb)?.get(file.name), '-----BEGIN KEY-----');
      assert.equal(started.server.calls.filter((call) => call.method === 'PUT' && call.path.endsWith(file.name)).length, 1);
      assert.deepEqual([...((await agents.describe(amphora, 2, signal))?.tls_files ?? [])], [[file.name, md5('-----BEGIN KEY-----')]]);
      await agents.deleteTlsFile(amphora, lb, file.name, 2, signal);
      await agents.deleteTlsFile(amphora, lb, file.name, 2, signal);
      assert.equal((await agents.describe(amphora, 2, signal))?.tls_files.size, 0);
    });

    test('says nothing of a certificate that the agent refuses', async () => {
      const file = { name: 'of a bad name', content: new Secret('the key') };
      const error = await agents.putTlsFile(amphora, lb, file, 2, signal).catch((reason: unknown) => reason);
      assert.ok(error instanceof Retry && !inspect(error).includes('the key'), inspect(error));
    });

    test('does not take a file for loaded that was put but not reloaded', async () => {
      const held = started.server.configurations.get(lb);
      assert.ok(held);
      held.text = 'defaults\n';
      assert.equal((await agents.describe(amphora, 2, signal))?.configuration_md5, 'unknown');
      await agents.putHaproxy(amphora, lb, 'defaults\n', 3, signal);
      assert.equal((await agents.describe(amphora, 3, signal))?.configuration_md5, md5('defaults\n'));
    });

    test('tells what HAProxy has against a configuration, and keeps the old one', async () => {
      const output = '[ALERT]    (7) : config : parsing [haproxy.cfg:3] : bad\n';
      started.server.refusal = output;
      await assert.rejects(
        agents.putHaproxy(amphora, lb, 'bad\n', 4, signal),
        (error) => error instanceof ConfigRefused && error.output === output,
      );
      started.server.refusal = null;
      assert.equal(started.server.configurations.get(lb)?.loaded, 'defaults\n');
    });

    test('passes on UDP as wanted, and sees that it does', async () => {
      const wanted = {
        text: '{"listeners":[{}]}',
        md5: md5('{"listeners":[{}]}'),
        lvs: kind === 'ours' ? null : [{ id: sampleId('listener'), text: 'virtual_server' }],
      };
      assert.equal((await agents.describe(amphora, 4, signal))?.datagram_md5, null);
      await agents.putDatagram(amphora, lb, wanted, 4, signal);
      assert.equal((await agents.describe(amphora, 4, signal))?.datagram_md5, wanted.md5);
      if (kind === 'upstream')
        assert.deepEqual([...started.server.lvs], [[sampleId('listener'), { text: 'virtual_server', isRunning: true }]]);
      await agents.putDatagram(amphora, lb, null, 4, signal);
      assert.equal((await agents.describe(amphora, 4, signal))?.datagram_md5, null);
      assert.equal(started.server.lvs.size, 0);
    });

    test('gives a new certificate', async () => {
      const { pem } = issueCertificate(servers, amphora.id, validity);
      await agents.putCertificate(amphora, pem.reveal(), 4, signal);
      assert.equal(started.server.certificate, pem.reveal());
    });

    test('gives the agent a configuration of its own', async () => {
      await agents.putAgentConfiguration(amphora, '[DEFAULT]\ndebug = True\n', 4, signal);
      assert.equal(started.server.agent_conf, '[DEFAULT]\ndebug = True\n');
    });

    test('removes the configuration, and again without harm', async () => {
      await agents.deleteHaproxy(amphora, lb, 5, signal);
      await agents.deleteHaproxy(amphora, lb, 5, signal);
      const seen = await agents.describe(amphora, 5, signal);
      assert.deepEqual([seen?.configuration_md5, seen?.running], [null, false]);
    });

    test('tries again later what fails in the agent, without a word of what was sent', async () => {
      started.server.mishap = { status: 500, body: { message: 'Error enabling unit', details: 'systemd is away' } };
      const call = agents.putCertificate(amphora, '-----BEGIN PRIVATE KEY-----', 6, signal);
      await assert.rejects(call, (error) => {
        assert.ok(error instanceof Retry);
        assert.match(error.message, /500 .*Error enabling unit: systemd is away/u);
        assert.doesNotMatch(inspect(error, { depth: 9 }), /PRIVATE/u);
        return true;
      });
      await assert.rejects(agents.describe(amphora, 6, signal), Retry);
      started.server.mishap = { status: 200, body: '<html>' };
      await assert.rejects(agents.describe(amphora, 6, signal), Retry);
      started.server.mishap = null;
    });
  });
}

test(
  'an agent that has obeyed a newer controller refuses an older one',
  withAgent('ours', async ({ client, server }) => {
    await client.putHaproxy(amphora, lb, 'new\n', 7, signal);
    await assert.rejects(
      client.putHaproxy(amphora, lb, 'old\n', 6, signal),
      (error) => error instanceof Retry && /newer/u.test(error.message),
    );
    await assert.rejects(client.plugVip(amphora, vip, 6, signal), Retry);
    assert.equal(server.configurations.get(lb)?.text, 'new\n');
  }),
);

test(
  'a look of a newer controller ends the passes of older ones',
  withAgent('ours', async ({ client, server }) => {
    await client.putHaproxy(amphora, lb, 'new\n', 7, signal);
    assert.equal((await client.describe(amphora, 8, signal))?.configuration_md5, md5('new\n'));
    await assert.rejects(client.putHaproxy(amphora, lb, 'late\n', 7, signal), Retry);
    await assert.rejects(client.describe(amphora, 7, signal), Retry);
    assert.equal(server.configurations.get(lb)?.text, 'new\n');
  }),
);

test(
  'a configuration loaded by an earlier process of the agent counts only if the agent says so',
  withAgent('ours', async ({ client, server }) => {
    await client.putHaproxy(amphora, lb, 'text\n', 1, signal);
    const held = server.configurations.get(lb);
    assert.ok(held);
    await client.describe(amphora, 1, signal);
    held.loaded = null;
    assert.equal((await client.describe(amphora, 1, signal))?.configuration_md5, md5('text\n'));
    server.boot_id = 'boot-2';
    assert.equal((await client.describe(amphora, 1, signal))?.configuration_md5, 'unknown');
  }),
);

test(
  'connections serve many calls, and their end is no failure',
  withAgent('ours', async ({ client, server }) => {
    for (let count = 0; count < 5; count += 1) await client.describe(amphora, 1, signal);
    const { connections } = server;
    assert.ok(connections <= 2, String(connections));
    server.dropConnections();
    await client.plugVip(amphora, vip, 1, signal);
    assert.ok(server.connections > connections);
  }),
);

test(
  "a server with another amphora's certificate is nobody",
  withAgent(
    'ours',
    async ({ client, server }) => {
      assert.equal(await client.describe(amphora, 1, signal), null);
      await assert.rejects(client.putHaproxy(amphora, lb, 'secret\n', 1, signal), Retry);
      assert.deepEqual(server.calls, []);
    },
    { name: sampleId('amphora', 2) },
  ),
);

test(
  'a controller of a foreign authority is not let in',
  withAgent(
    'ours',
    async ({ client, server }) => {
      assert.equal(await client.describe(amphora, 1, signal), null);
      assert.deepEqual(server.calls, []);
    },
    { client: createAuthority('clients', validity) },
  ),
);

test('an agent that is not there is nobody, and calls are tried again later', async () => {
  const { client, server, stop } = await start('ours');
  await stop();
  assert.equal(server.calls.length, 0);
  assert.equal(await client.describe({ ...amphora, lb_network_ip: null }, 1, signal), null);
  const next = await start('ours');
  await next.server.close();
  assert.equal(await next.client.describe(amphora, 1, signal), null);
  await assert.rejects(
    next.client.deleteHaproxy(amphora, lb, 1, signal),
    (error) => error instanceof Retry && error.cause instanceof Error,
  );
  await next.client.close();
});

test(
  'a silent agent is nobody after the time-out, and a pass that is aborted ends at once with its reason',
  withAgent(
    'ours',
    async ({ client, server }) => {
      server.isSilent = true;
      assert.equal(await client.describe(amphora, 1, signal), null);
      await assert.rejects(client.plugVip(amphora, vip, 1, signal), Retry);
      const aborting = new AbortController();
      const call = client.describe(amphora, 1, aborting.signal);
      const reason = new Error('the lease ends');
      aborting.abort(reason);
      await assert.rejects(call, reason);
    },
    { timeout_ms: 300 },
  ),
);

test(
  'connections to many amphorae are bounded',
  withAgent('ours', async ({ server, options }) => {
    const bounded = new AgentClient({ ...options, max_amphorae: 1 });
    const other: Amphora = { ...amphora, lb_network_ip: '127.0.0.2' };
    assert.ok(await bounded.describe(amphora, 1, signal));
    assert.equal(await bounded.describe(other, 1, signal), null);
    assert.ok(await bounded.describe(amphora, 1, signal));
    assert.equal(server.connections, 2);
    await bounded.close();
  }),
);
