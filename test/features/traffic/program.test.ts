/** Members in batches, reserved addresses, VIPs of both kinds, certificates of the key manager: by the whole program and real connections. */
import assert from 'node:assert/strict';
import { get, shownTo, until } from '../../support/features/clients.ts';
import { askByFlows } from '../../support/features/datagrams.ts';
import { makeTestPki, type TestCertificate } from '../../support/features/pki.ts';
import { type Ending, testProgramFeatures } from '../../support/features/program.ts';
import {
  change,
  makeLoadBalancer,
  membersOf,
  type Resource,
  type ShownLoadBalancer,
  type ShownSubnet,
  waitActive,
} from '../../support/load-balancers.ts';
import { startMember, type TestMember } from '../../support/members.ts';
import type { ApiClient } from '../../support/octavia.ts';
import { asMember, poolOf, type Stage } from '../../support/stage.ts';
import { fixture, fixtureText } from '../../support/tls-fixtures.ts';
import { ask } from '../../support/traffic.ts';

/** What is set up once for a program. */
type World = {
  readonly lb: ShownLoadBalancer;
  /** Members on IPv4, and one on IPv6 where that is. */
  readonly blue: TestMember;
  readonly green: TestMember;
  readonly six: TestMember;
  /** The VIP of a kind. */
  readonly vip: (family: 4 | 6) => string;
};

let world: Promise<World> | undefined;
const build = (stage: Stage, file: Ending): Promise<World> => (world ??= makeWorld(stage, file));

async function makeWorld({ client, subnet, subnet6, blue, green }: Stage, file: Ending): Promise<World> {
  const six = await startMember(file, { name: 'six', address: subnet6?.gateway_ip ?? subnet.gateway_ip });
  const lb = await makeLoadBalancer(client, {
    name: 'both',
    vip_subnet_id: subnet.id,
    ...(subnet6 !== undefined && { additional_vips: [{ subnet_id: subnet6.id }] }),
    listeners: [{ protocol: 'HTTP', protocol_port: 80, default_pool: { name: 'pool' } }],
    pools: [{ name: 'pool', protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN', members: [asMember(blue)] }],
  });
  const { additional_vips } = lb as unknown as { additional_vips: { ip_address: string }[] };
  return { lb, blue, green, six, vip: (family) => (family === 4 ? lb.vip_address : (additional_vips[0]?.ip_address ?? '')) };
}

/** Who answers so many requests, each on a connection of its own; to a server that is new HAProxy may send some in a row. */
async function whoAnswers(address: string, count = 32): Promise<string> {
  const names: string[] = [];
  for (let each = 0; each < count; each += 1) names.push(await ask({ address, port: 80 }));
  return [...new Set(names)].toSorted().join();
}

const refusalOf = async (client: ApiClient, method: string, path: string, body: object): Promise<readonly [number, string]> => {
  const answer = await client.send(method, `/v2/lbaas${path}`, body);
  return [answer.status, (answer.body as { faultstring?: string } | null)?.faultstring ?? ''];
};

const store = async (client: ApiClient, payload: Buffer | string): Promise<string> => {
  const body =
    typeof payload === 'string'
      ? { payload, payload_content_type: 'text/plain' }
      : { payload: payload.toString('base64'), payload_content_type: 'application/octet-stream', payload_content_encoding: 'base64' };
  return (await client.call<{ secret_ref: string }>('POST', '/key-manager/v1/secrets', body)).secret_ref;
};

async function container(client: ApiClient): Promise<string> {
  const pieces = { certificate: fixtureText('ecdsa.crt'), private_key: fixtureText('ecdsa.key'), intermediates: fixtureText('issuer.crt') };
  const secret_refs: object[] = [];
  for (const [name, text] of Object.entries(pieces)) secret_refs.push({ name, secret_ref: await store(client, text) });
  return (await client.call<{ container_ref: string }>('POST', '/key-manager/v1/containers', { type: 'certificate', secret_refs }))
    .container_ref;
}

const subnetOf = ({ subnet, subnet6 }: Stage, family: 4 | 6): ShownSubnet => (family === 4 || subnet6 === undefined ? subnet : subnet6);

testProgramFeatures({
  HAProxy: [
    {
      row: 'B2',
      what: 'additional VIPs: one of each kind of address, members of both kinds behind each',
      async check({ stage, family, file }) {
        const { lb, blue, six, vip } = await build(stage, file);
        await change(stage.client, lb.id, 'PUT', `/pools/${poolOf(lb)}/members`, { members: [asMember(blue), asMember(six)] });
        assert.equal(await whoAnswers(vip(family)), 'blue,six');
      },
    },
    {
      row: 'B6',
      what: 'failover: another amphora has the VIPs of both kinds, and its neighbours know it',
      async check({ stage, family, file }) {
        const { lb, vip } = await build(stage, file);
        assert.equal((await get({ address: vip(family), port: 80 })).status, 200);
        await stage.admin.call('PUT', `/v2/lbaas/loadbalancers/${lb.id}/failover`);
        await waitActive(stage.client, lb.id);
        // A neighbour that was not told would go on for half a minute with the card of the old one.
        await until('the other amphora answers', async () => (await get({ address: vip(family), port: 80 })).status === 200);
      },
    },
    {
      row: 'E2',
      what: 'batches of members: replaced as a whole, added to, told apart by address and port',
      async check({ stage, family, file }) {
        const { lb, blue, green, six, vip } = await build(stage, file);
        const { client } = stage;
        const path = `/pools/${poolOf(lb)}/members`;
        const put = (members: readonly object[], query = '') => change(client, lb.id, 'PUT', `${path}${query}`, { members });
        await put([asMember(blue), asMember(green)]);
        assert.equal(await whoAnswers(vip(family)), 'blue,green');
        const before = await membersOf(client, poolOf(lb));
        await put([{ ...asMember(green), name: 'green', weight: 5 }, asMember(six)]);
        assert.equal(await whoAnswers(vip(family)), 'green,six', 'who is not named goes');
        const after = await membersOf(client, poolOf(lb));
        assert.deepEqual([after.get('green')?.id, after.get('green')?.weight], [before.get('green')?.id, 5], 'the same address and port');
        await put([{ ...asMember(blue), weight: 5 }], '?additive_only=true');
        assert.equal(await whoAnswers(vip(family)), 'blue,green,six', 'who is not named stays');
        // Another port is another member, and two of one address and port are none.
        const elsewhere = { ...asMember(blue), name: 'elsewhere', protocol_port: green.port };
        await put([asMember(blue), elsewhere]);
        assert.deepEqual([...(await membersOf(client, poolOf(lb))).keys()].toSorted(), ['blue', 'elsewhere']);
        assert.equal((await refusalOf(client, 'PUT', path, { members: [asMember(blue), asMember(blue)] }))[0], 400);
        assert.equal(await whoAnswers(vip(family)), 'blue,green', 'a refused batch changes nothing');
        await put([]);
        assert.equal((await get({ address: vip(family), port: 80 })).status, 503);
        await put([asMember(blue)]);
      },
    },
    {
      row: 'E3',
      what: 'members at reserved addresses, and of UDP at another kind of address than the VIP, are refused; the others serve',
      async check({ stage, family, t, file }) {
        const { lb, blue, vip } = await build(stage, file);
        const { client } = stage;
        await change(client, lb.id, 'PUT', `/pools/${poolOf(lb)}/members`, { members: [asMember(blue)] });
        const reserved = { address: '169.254.169.254', protocol_port: 80 };
        const path = `/pools/${poolOf(lb)}/members`;
        const words = '169.254.169.254 is not a valid option for member address';
        assert.deepEqual(await refusalOf(client, 'POST', path, { member: reserved }), [400, words]);
        assert.deepEqual(await refusalOf(client, 'PUT', path, { members: [asMember(blue), reserved] }), [400, words]);
        assert.equal(await whoAnswers(vip(family)), 'blue');

        const { id: vip_subnet_id, gateway_ip: address } = subnetOf(stage, family);
        const member = await startMember(t, { name: 'udp', address, protocol: 'udp' });
        const udp = await makeLoadBalancer(client, {
          name: `udp-${family}`,
          vip_subnet_id,
          listeners: [{ protocol: 'UDP', protocol_port: 53, default_pool: { name: 'p' } }],
          pools: [{ name: 'p', protocol: 'UDP', lb_algorithm: 'ROUND_ROBIN', members: [asMember(member)] }],
        });
        const other = { address: family === 4 ? '2001:db8::1' : '192.0.2.1', protocol_port: 53 };
        for (const [method, body] of [
          ['POST', { member: other }],
          ['PUT', { members: [asMember(member), other] }],
        ] as const) {
          const [status, reason] = await refusalOf(client, method, `/pools/${poolOf(udp)}/members`, body);
          assert.equal(status, 501);
          assert.match(reason, /mixing IPv4 and IPv6 addresses/u);
        }
        assert.deepEqual(await askByFlows(t, { address: udp.vip_address, port: 53 }, 3), { udp: 3 });
        await client.call('DELETE', `/v2/lbaas/loadbalancers/${udp.id}?cascade=true`);
      },
    },
    {
      row: 'C2',
      what: 'certificates of the key manager: container, PKCS#12, one that cannot be loaded fails its listener alone',
      async check({ stage, family, file }) {
        const { lb, vip } = await build(stage, file);
        const { client } = stage;
        const [one, two] = [443 + family, 8443 + family];
        const post = (protocol_port: number, default_tls_container_ref: string) =>
          change<Resource>(client, lb.id, 'POST', '/listeners', {
            listener: {
              loadbalancer_id: lb.id,
              protocol: 'TERMINATED_HTTPS',
              protocol_port,
              default_tls_container_ref,
              default_pool_id: poolOf(lb),
            },
          });
        const to = { address: vip(family), port: one };
        const good = await post(one, await container(client));
        assert.equal((await shownTo(to)).key, 'ec');
        await change(client, lb.id, 'PUT', `/listeners/${good.id}`, {
          listener: { default_tls_container_ref: await store(client, fixture('rsa-modern.p12')) },
        });
        assert.equal((await shownTo(to)).key, 'rsa');
        // The key is of another certificate: the API cannot know, as the pieces come one by one.
        const mixed = await store(client, fixtureText('rsa.crt') + fixtureText('ecdsa.key'));
        const [status, reason] = await refusalOf(client, 'PUT', `/listeners/${good.id}`, {
          listener: { default_tls_container_ref: mixed },
        });
        assert.deepEqual([status, /Could not retrieve certificate/u.test(reason)], [400, true], reason);
        const weak = await post(two, await store(client, weakBundle()));
        const { listener } = await client.call<{ listener: Resource & { fault?: string } }>('GET', `/v2/lbaas/listeners/${weak.id}`);
        assert.equal(listener.provisioning_status, 'ERROR');
        assert.match(listener.fault ?? '', /key too small|unable to load/u);
        await assert.rejects(shownTo({ address: vip(family), port: two }), /ECONNREFUSED/u);
        assert.equal((await shownTo(to)).key, 'rsa', 'its sibling goes on');
        for (const { id } of [good, weak]) await change(client, lb.id, 'DELETE', `/listeners/${id}`);
      },
    },
  ],
});

/** A certificate with a key that no OpenSSL of today takes. */
function weakBundle(): string {
  weak ??= makeTestPki().of('weak.example');
  return weak.chain + weak.key;
}
let weak: TestCertificate | undefined;
