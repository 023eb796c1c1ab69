/** Listeners by real connections: protocols, limits, time-outs, headers, allowed networks, metrics. */
import assert from 'node:assert/strict';
import { once } from 'node:events';

import { MetricsExporter } from '../../../src/agent/prometheus/exporter.ts';
import { exchange, get, open, shownTo, until } from '../../support/features/clients.ts';
import { feature, testFeatures, type Visit } from '../../support/features/features.ts';
import { samplePolicy, sampleRule } from '../../support/sample-trees.ts';

const to = (visit: Visit, index = 0) => ({ address: visit.address, port: visit.ports[index] ?? 0 });

/** Milliseconds until a connection is closed by the other side. */
async function closedAfter(visit: Visit, index: number): Promise<number> {
  const socket = await open(to(visit, index));
  const begun = performance.now();
  socket.resume();
  await once(socket, 'close');
  return performance.now() - begun;
}

testFeatures([
  feature('C1', 'TCP, HTTP, HTTPS passed through', async (stage) => {
    const [echo] = await stage.pair({ kind: 'echo' });
    const [http] = await stage.pair();
    const https = await stage.start('s', { kind: 'https', certificate: stage.pki.of('rsa.example') });
    return {
      services: [
        { listener: { protocol: 'TCP' }, pool: { protocol: 'TCP', members: [stage.row(echo)] } },
        { listener: { protocol: 'HTTP' }, pool: { protocol: 'HTTP', members: [stage.row(http)] } },
        { listener: { protocol: 'HTTPS' }, pool: { protocol: 'HTTPS', members: [stage.row(https)] } },
        { listener: { protocol: 'HTTPS' }, pool: { protocol: 'TCP', members: [stage.row(https)] } },
        { listener: { protocol: 'TCP' }, pool: { protocol: 'HTTP', members: [stage.row(http)] } },
      ],
      async check(visit) {
        const socket = await open(to(visit));
        assert.equal(await exchange(socket, 'hello'), 'a hello');
        assert.equal(await exchange(socket, 'again'), 'a again');
        socket.destroy();
        assert.equal((await get(to(visit, 1))).seen.member, 'a');
        for (const index of [2, 3]) assert.equal((await shownTo(to(visit, index))).name, 'rsa.example', "the certificate is the member's");
        assert.equal(
          (await get(to(visit, 2), { tls: { servername: 'rsa.example', ca: stage.pki.root } })).seen.tls?.servername,
          'rsa.example',
        );
        assert.equal((await get(to(visit, 4))).seen.member, 'a');
      },
    };
  }),
  feature('C1', 'no default pool is 503, a listener that is switched off refuses', async (stage) => {
    const [a] = await stage.pair();
    return {
      services: [{}, { listener: { admin_state_up: false }, pool: { members: [stage.row(a)] } }],
      async check(visit) {
        assert.equal((await get(to(visit))).status, 503);
        await assert.rejects(open(to(visit, 1)), { code: 'ECONNREFUSED' });
      },
    };
  }),
  feature('C1', 'the limit of connections makes the next one wait', async (stage) => {
    const [echo] = await stage.pair({ kind: 'echo' });
    return {
      services: [{ listener: { protocol: 'TCP', connection_limit: 1 }, pool: { protocol: 'TCP', members: [stage.row(echo)] } }],
      async check(visit) {
        const first = await open(to(visit));
        assert.equal(await exchange(first, 'one'), 'a one');
        // The kernel takes the second, HAProxy does not yet.
        const second = await open(to(visit));
        const answer = exchange(second, 'two');
        let isAnswered = false;
        void answer.then(() => (isAnswered = true)).catch(() => undefined);
        assert.equal(await exchange(first, 'three'), 'a three');
        assert.equal(isAnswered, false);
        first.destroy();
        assert.equal(await answer, 'a two');
        second.destroy();
      },
    };
  }),
  feature('C1', "time-outs of clients and of members' answers", async (stage) => {
    const [http] = await stage.pair();
    const members = [stage.row(http)];
    return {
      services: [
        { listener: { timeout_client_data: 300 }, pool: { members } },
        { listener: { protocol: 'TCP', timeout_client_data: 300, timeout_member_data: 300 }, pool: { protocol: 'TCP', members } },
        { listener: { timeout_member_data: 300 }, pool: { members } },
      ],
      async check(visit) {
        for (const index of [0, 1]) {
          const ms = await closedAfter(visit, index);
          assert.ok(ms > 200 && ms < 5000, `${index}: ${ms}`);
        }
        const begun = performance.now();
        assert.equal((await get(to(visit, 2), { path: '/?ms=6000' })).status, 504);
        assert.ok(performance.now() - begun < 5000);
      },
    };
  }),
  feature('C1', 'the time to wait for content holds back nothing that is there', async (stage) => {
    const [a] = await stage.pair();
    const first = await stage.start('first', { kind: 'greeting' });
    const l7policies = [samplePolicy(700, { rules: [sampleRule(700, { value: '/refused' })] })];
    return {
      services: [
        { listener: { timeout_tcp_inspect: 6000, l7policies }, pool: { members: [stage.row(a)] } },
        // A client that says nothing until it is greeted, as of mail.
        { listener: { protocol: 'TCP', timeout_tcp_inspect: 6000 }, pool: { protocol: 'TCP', members: [stage.row(first)] } },
      ],
      async check(visit) {
        assert.match(visit.config, /tcp-request inspect-delay 6000/u);
        const begun = performance.now();
        assert.equal((await get(to(visit))).status, 200);
        assert.equal((await get(to(visit), { path: '/refused' })).status, 403);
        const socket = await open(to(visit, 1));
        const [greeting] = (await once(socket, 'data')) as [Buffer];
        assert.equal(greeting.toString(), 'first greets');
        socket.destroy();
        assert.ok(performance.now() - begun < 5000);
      },
    };
  }),
  feature('C1', 'the time-out of connections to members', async (stage) => {
    const member = stage.row({ address: stage.blackhole ?? '127.0.0.1', port: 80 });
    return {
      services: [{ listener: { timeout_member_connect: 200 }, pool: { members: [member] } }],
      async check(visit) {
        if (stage.blackhole === undefined) return;
        const begun = performance.now();
        assert.equal((await get(to(visit))).status, 503);
        // Three tries more than the first.
        const ms = performance.now() - begun;
        assert.ok(ms > 700 && ms < 6000, String(ms));
      },
    };
  }),
  feature('C4', 'headers about the way, which a client cannot forge', async (stage) => {
    const [a] = await stage.pair();
    const names = ['X-Forwarded-For', 'X-Forwarded-Port', 'X-Forwarded-Proto', 'X-Forwarded-IP', 'X-Client-IP', 'X-Real-IP'];
    const members = [stage.row(a)];
    const insert_headers = (value: string) => Object.fromEntries(names.map((name) => [name, value]));
    return {
      services: [
        { listener: { insert_headers: insert_headers('True') }, pool: { members } },
        { listener: { insert_headers: insert_headers('false') }, pool: { members } },
      ],
      async check(visit) {
        const forged = Object.fromEntries(names.map((name) => [name, '192.0.2.1']));
        const { headers } = (await get(to(visit), { headers: forged })).seen;
        assert.equal(headers['x-forwarded-for'], `192.0.2.1, ${visit.source}`);
        assert.deepEqual([headers['x-forwarded-port'], headers['x-forwarded-proto']], [String(visit.ports[0]), 'http']);
        for (const name of ['x-forwarded-ip', 'x-client-ip', 'x-real-ip']) assert.equal(headers[name], visit.source, name);
        const without = (await get(to(visit, 1))).seen.headers;
        assert.ok(names.every((name) => without[name.toLowerCase()] === undefined));
      },
    };
  }),
  feature('C5', 'only allowed networks get in, on listeners of every kind', async (stage) => {
    const [a] = await stage.pair();
    const { chain, key } = stage.pki.of('ec.example');
    const pool = { members: [stage.row(a)] };
    const everybody = ['127.0.0.0/8', 'fd00:7e57::/32'];
    const nobody = ['10.0.0.0/8', '2001:db8::/32'];
    const terminated = { protocol: 'TERMINATED_HTTPS' as const, default_tls_container_ref: stage.secret(chain + key) };
    return {
      services: [
        { listener: { allowed_cidrs: everybody }, pool },
        { listener: { allowed_cidrs: nobody }, pool },
        { listener: { protocol: 'TCP', allowed_cidrs: nobody }, pool: { ...pool, protocol: 'TCP' } },
        { listener: { ...terminated, allowed_cidrs: nobody }, pool },
        { listener: { ...terminated, allowed_cidrs: everybody }, pool },
      ],
      async check(visit) {
        assert.equal((await get(to(visit))).status, 200);
        for (const index of [1, 2]) await assert.rejects(get(to(visit, index)), /ECONNRESET|socket hang up/u);
        await assert.rejects(get(to(visit, 3), { tls: {} }), /ECONNRESET|disconnected|EPIPE/u);
        assert.equal((await get(to(visit, 4), { tls: {} })).status, 200);
      },
    };
  }),
  feature('C7', 'PROMETHEUS: metrics with the documented names, with and without TLS', async (stage) => {
    const [a] = await stage.pair();
    const { chain, key } = stage.pki.of('ec.example');
    const secure = { protocol: 'PROMETHEUS' as const, default_tls_container_ref: stage.secret(chain + key) };
    let exporter: MetricsExporter | undefined;
    return {
      services: [{ listener: { protocol: 'PROMETHEUS' } }, { listener: secure }, { pool: { members: [stage.row(a)] } }],
      async check(visit) {
        assert.equal((await get(to(visit, 2))).status, 200);
        assert.ok([502, 503].includes((await get(to(visit))).status), 'without an agent');
        exporter = new MetricsExporter(visit.folder, () => undefined);
        await exporter.listen();
        try {
          const pattern = `octavia_listener_http_requests_total{listener="${visit.listener_ids[2]}"}`;
          await until('metrics come', async () => (await get(to(visit), { path: '/metrics' })).body.includes(pattern));
          const { body, headers } = await get(to(visit, 1), { path: '/metrics', tls: {} });
          assert.equal(headers['content-type'], 'text/plain; version=0.0.4');
          const families = new Set([...body.matchAll(/^# TYPE (\w+)/gmu)].map((match) => match[1]));
          assert.ok(families.size >= 142, `${families.size} families`);
          assert.ok([...families].every((name) => name?.startsWith('octavia_')));
          assert.match(body, new RegExp(`^octavia_listener_status\\{listener="${visit.listener_ids[2]}",state="UP"\\} 1$`, 'mu'));
        } finally {
          await exporter.close();
        }
      },
    };
  }),
]);
